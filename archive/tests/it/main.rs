//! The archive as its users see it: catalogue in, ZIP out, on both engines.

extern crate portward_archive as archive;

mod catalogue;
mod discover;
mod discover_random;
mod golden;
mod hostile;
mod joined_faults;
mod keys;
mod lookups;
mod nests;
mod owner;
mod ranges;
mod read;
mod rules;
mod support;
mod trouble;
mod types;
mod zips;
