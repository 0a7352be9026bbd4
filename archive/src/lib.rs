//! One person's data: catalogue -> sources -> records -> JSON or TXT -> ZIP.
//!
//! This crate knows no HTTP and no metadata store. It is given a catalogue, a subject and a file, and fills the file.

pub mod catalogue;
pub mod compare;
pub mod deflate;
pub mod discover;
pub mod manifest;
pub mod read;
pub mod sign;
pub mod source;
pub mod store;
mod subject;
pub mod verify;
pub mod write;

pub use subject::{Subject, SubjectType};
