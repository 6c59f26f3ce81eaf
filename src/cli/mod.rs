//! The command line: one file a subcommand, which ties the rooms together.

mod annotations;
pub mod audit;
pub mod backup;
pub mod check;
mod commands;
pub mod control;
pub mod doctor;
pub mod explain;
mod fetch;
pub mod gaps;
pub mod new;
pub mod patch;
pub mod policy;
pub mod receipt;
pub mod rehearse;
pub mod run;
pub mod schema;
pub mod serve;
pub mod setup;
pub mod verify;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Config};
use crate::error::UserError;
use crate::lane;
use crate::publish::terminal;
use crate::run::protected::ProtectedPaths;

/// Runs `codex-brief` blocks from GitHub issues and comments, isolated, and opens the pull requests
/// that they ask for.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    max_term_width = 100,
    after_help = "Start with `codex-brief new` to write a brief, `codex-brief check FILE` to lint \
one, `codex-brief run FILE --repository PATH` to try it without GitHub, and `codex-brief setup` and then \
`codex-brief serve` to be a GitHub App."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells whether the briefs in Markdown or YAML files are right, and what is wrong with each.
    Check(check::CheckArgs),
    /// Writes a new brief, by questions on a terminal or by options.
    New(new::NewArgs),
    /// Runs the briefs of a file on a local repository, without GitHub.
    Run(run::RunArgs),
    Setup(setup::SetupArgs),
    /// Serves the GitHub App: takes webhooks, runs briefs, opens pull requests.
    Serve(serve::ServeArgs),
    /// Ends a task's run, or cancels a task that waits.
    Stop(control::StopArgs),
    /// Publishes a task again that GitHub did not take.
    Publish(control::PublishArgs),
    /// Tells where tasks stand.
    Status(control::StatusArgs),
    /// Prints the changes of a run, as a patch for `git apply`.
    Patch(patch::PatchArgs),
    /// Copies the store while the server serves, or looks whether a copy is whole.
    Backup(backup::BackupArgs),
    /// Tells what happened and by whom, and whether the log of it is as it was written.
    Audit(audit::AuditArgs),
    /// Prints the signed receipt of a run, or the public keys of receipts.
    Receipt(receipt::ReceiptArgs),
    /// Tells whether a receipt holds, and which of its items do not.
    Verify(verify::VerifyArgs),
    /// Shows on a throw-away store what becomes of a task when steps hang and servers crash.
    Rehearse(rehearse::RehearseArgs),
    /// Tells when deliveries were missed, and what became of each.
    Gaps(gaps::GapsArgs),
    /// Tells who may run what, and which rule says so.
    Policy(policy::PolicyArgs),
    Doctor(doctor::DoctorArgs),
    /// Tells what the code of a message means, and what to do.
    Explain(explain::ExplainArgs),
    /// Prints the JSON Schema of a brief, for editors.
    Schema(schema::SchemaArgs),
}

/// Reads a server's configuration and checks all of it.
fn load_config(path: &Path) -> Result<Config, UserError> {
    let config = Config::load(path)?;
    let private = config.private_paths();
    config.lanes.iter().try_for_each(|lane| lane::check(lane, &private))?;
    for (nth, section) in (1..).zip(&config.policies) {
        ProtectedPaths::new(&section.protected_paths, &[])
            .map_err(|why| config::invalid(format!("policy[{nth}]: {why}.")))?;
    }
    Ok(config)
}

/// Makes the error for a lane that is not switched on in a configuration whose lanes have these names.
fn lane_unknown(name: &str, names: &[String]) -> UserError {
    UserError::new(
        "lane-unknown",
        format!("The configuration has no lane `{name}` that is switched on."),
        format!("Its lanes are: {}. Choose one by --lane.", names.join(", ")),
    )
}

/// Prints to standard output so that nothing in it acts on a terminal; a reader that went away, such as
/// `head`, is no reason to fail.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", terminal::text(text));
}

/// Prints a value as JSON; what a terminal would act on stands escaped in it.
fn print_json<T: Serialize>(value: &T) {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{}", terminal::json(&json));
}

/// The exit code when the program could not do what it was asked at all.
const TROUBLE: u8 = 2;

/// Runs a command and returns its exit code: 0 for yes, 1 for no, 2 for trouble.
pub fn run(cli: Cli) -> ExitCode {
    start_tracing(match cli.command {
        Command::Serve(_) => "info",
        // What it logs are the failures that it plays.
        Command::Rehearse(_) => "off",
        _ => "warn",
    });
    let result = match cli.command {
        Command::Check(args) => check::run(&args),
        Command::New(args) => new::run(&args),
        Command::Schema(args) => Ok(schema::run(&args)),
        Command::Explain(args) => explain::run(&args),
        Command::Run(args) => on_runtime(run::run(args)),
        Command::Setup(args) => on_runtime(setup::run(args)),
        Command::Serve(args) => on_runtime(serve::run(args)),
        Command::Backup(args) => on_runtime(backup::run(args)),
        Command::Audit(args) => on_runtime(audit::run(args)),
        Command::Receipt(args) => on_runtime(receipt::run(args)),
        Command::Verify(args) => on_runtime(verify::run(args)),
        Command::Stop(args) => on_runtime(control::stop(args)),
        Command::Publish(args) => on_runtime(control::publish(args)),
        Command::Status(args) => on_runtime(control::status(args)),
        Command::Patch(args) => on_runtime(patch::run(args)),
        Command::Rehearse(args) => on_runtime(rehearse::run(args)),
        Command::Doctor(args) => args.inside().unwrap_or_else(|| on_runtime(doctor::run(args))),
        Command::Gaps(args) => on_runtime(gaps::run(args)),
        Command::Policy(args) => on_runtime(policy::run(args)),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let (message, help) = (terminal::text(&error.message), terminal::text(&error.help));
            eprintln!("error: {message}\n  help: {help} [{}]", error.code);
            ExitCode::from(TROUBLE)
        }
    }
}

fn on_runtime(work: impl Future<Output = Result<u8, UserError>>) -> Result<u8, UserError> {
    // One TLS provider for the process; an error means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        UserError::new(
            "internal-error",
            format!("The runtime did not start: {error}."),
            "Look at the limits of processes and memory.",
        )
    })?;
    runtime.block_on(work)
}

/// Logs to standard error, a record a line whatever stands in it; `RUST_LOG` changes what.
fn start_tracing(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| terminal::Records(std::io::stderr()))
        .with_target(false)
        // Colours would stand escaped, like every other terminal sequence.
        .with_ansi(false)
        .init();
}

/// Waits until the process is told to end, by SIGTERM or Ctrl-C.
async fn told_to_end() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
