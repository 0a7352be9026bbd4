//! The real binary, driven from outside: killed at the worst moments, fed with bad input, on sources that fail, and by its operator's hand.

mod bad_input;
mod cli;
mod disk;
mod download;
mod http;
mod kill;
mod limits;
mod owner;
mod provider;
mod scene;
mod sandbox;
mod secrecy;
mod sources;
mod storm;
mod support;
