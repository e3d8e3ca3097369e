//! Developer commands of weir.
fn main() {}
