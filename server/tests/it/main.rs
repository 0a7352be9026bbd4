//! The real binary, driven from outside: killed at the worst moments, fed with bad input, on sources that fail, and by its operator's hand.

mod accounts;
mod application_form;
mod apps;
mod bad_input;
mod books;
mod cli;
mod disk;
mod download;
mod http;
mod kill;
mod limits;
mod matrix;
mod own_pages;
mod owner;
mod provider;
mod records;
mod review;
mod rules;
mod sandbox;
mod scene;
mod secrecy;
mod sources;
mod storm;
mod support;
mod tickets;
