//! The archive as its users see it: catalogue in, ZIP out, on every engine.

extern crate portward_archive as archive;

mod catalogue;
mod golden;
mod hostile;
mod http_source;
mod lost;
mod mysql;
mod owner;
mod proxy;
mod read;
mod roundtrip;
mod support;
mod trouble;
mod types;
mod zips;
