//! The `codex-brief` program.

fn main() {}
