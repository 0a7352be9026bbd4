//! The archive as its users see it: catalogue in, ZIP out, on every engine.

extern crate portward_archive as archive;

mod bad_sources;
mod catalogue;
mod compare;
mod discover;
mod discover_random;
mod discover_strange;
mod documents;
mod editions;
mod golden;
mod hostile;
mod http_source;
mod joined_faults;
mod keys;
mod lookups;
mod lost;
mod media;
mod mysql;
mod nests;
mod omissions;
mod owner;
mod pool;
mod proxy;
mod ranges;
mod read;
mod roundtrip;
mod rules;
mod service_draft;
mod support;
mod tables;
mod trouble;
mod types;
mod verify_hostile;
mod zips;
