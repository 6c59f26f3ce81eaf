//! The `codex-brief` program: arguments, tracing, and on to [`codex_brief::cli`].

use std::process::ExitCode;

use clap::Parser;
use codex_brief::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
