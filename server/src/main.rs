//! portward
fn main() {}
