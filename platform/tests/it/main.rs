//! The rules and their rows, on both engines: every test of a store runs on SQLite and on PostgreSQL.

extern crate portward_platform as platform;

mod exports;
mod grants;
mod requests;
mod support;
