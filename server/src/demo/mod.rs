//! The demo platform: somebody else's database, made up, so that Portward can be tried without one.

pub(crate) mod catalog;
pub(crate) mod platform;
