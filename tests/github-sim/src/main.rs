//! Runs a simulated GitHub that a person can look at and play with.

fn main() {}
