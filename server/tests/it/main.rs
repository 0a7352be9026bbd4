//! The real binary, driven from outside: killed at the worst moments, fed with bad input, on sources that fail, and by its operator's hand.

mod accounts;
mod bad_input;
mod cli;
mod disk;
mod download;
mod http;
mod kill;
mod limits;
mod own_pages;
mod owner;
mod provider;
mod sandbox;
mod scene;
mod secrecy;
mod sources;
mod storm;
mod support;
