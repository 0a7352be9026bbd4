//! The archive as its users see it: catalogue in, ZIP out, on every engine.

extern crate portward_archive as archive;

mod catalogue;
mod discover;
mod discover_random;
mod editions;
mod golden;
mod hostile;
mod http_source;
mod joined_faults;
mod keys;
mod lookups;
mod lost;
mod mysql;
mod nests;
mod owner;
mod proxy;
mod ranges;
mod read;
mod roundtrip;
mod rules;
mod support;
mod tables;
mod trouble;
mod types;
mod zips;
