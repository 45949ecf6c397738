//! The `chanter` command.
fn main() {}
