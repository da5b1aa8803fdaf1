//! `cargo less …`: the same program.
fn main() {}
