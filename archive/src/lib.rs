//! One person's data: catalogue -> sources -> records -> JSON or TXT -> ZIP.
//!
//! This crate knows no HTTP and no metadata store. It is given a catalogue, a subject and a file, and fills the file.

pub mod catalogue;
pub mod deflate;
pub mod discover;
pub mod read;
pub mod source;
pub mod store;
mod subject;
pub mod write;

pub use subject::{Subject, SubjectType};
