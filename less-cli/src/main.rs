//! The `less` command.
fn main() {}
