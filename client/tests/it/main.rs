//! The client against a stand-in server whose answers each test chooses.

mod calls;
mod download;
mod rows;
mod stand;
mod tls;
mod wait;
