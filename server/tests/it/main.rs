//! The real binary, driven from outside: killed at the worst moments, fed with bad input, on sources that fail, and by its operator's hand.

mod demo;
mod disk;
mod kill;
mod owner;
mod sources;
mod storm;
mod support;
