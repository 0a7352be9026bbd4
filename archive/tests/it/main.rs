//! The archive as its users see it: catalogue in, ZIP out, on both engines.

extern crate portward_archive as archive;

mod catalogue;
mod discover;
mod discover_random;
mod golden;
mod hostile;
mod owner;
mod read;
mod support;
mod trouble;
mod types;
mod zips;
