//! `codex-brief audit`: what happened, by whom, and whether the log of it is as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use clap::{Args, Subcommand};
use serde_json::json;

use super::print;
use crate::error::UserError;
use crate::publish::inert::visible;
use crate::server::operate;
use crate::store::audit::verify::{Verdict, verify};
use crate::store::audit::{AuditEntry, AuditRow, Status};
use crate::store::backup::STORE;
use crate::store::{Store, StoreError};

/// The version of what `verify --json` and `head --json` print; it changes when a field is renamed or removed.
const FORMAT: u32 = 1;

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// Tells what happened, by whom, and whether the log of it is as it was written.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Looks whether entries were changed, removed, put in or moved; ends with 1 and names the first bad one.
    Verify(VerifyArgs),
    /// Prints sequence number and hash of the last entry, to keep somewhere else for `verify --head`.
    Head(HeadArgs),
    /// Prints the entries, oldest first.
    List(ListArgs),
}

/// Looks whether the log is as it was written.
#[derive(Debug, Args)]
struct VerifyArgs {
    /// Compares with this file of JSON lines instead of the configuration's `audit.sink`; several, oldest first,
    /// where it was rotated.
    #[arg(long, value_name = "FILE")]
    sink: Vec<PathBuf>,
    /// Looks whether this entry, which `audit head` printed before, is still there.
    #[arg(long, value_name = "SEQUENCE:HASH", value_parser = read_head)]
    head: Option<(i64, String)>,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints what was found as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the last entry's sequence number and hash.
#[derive(Debug, Args)]
struct HeadArgs {
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints them as JSON.
    #[arg(long)]
    json: bool,
}

/// Prints entries.
#[derive(Debug, Args)]
struct ListArgs {
    /// Only entries about the task whose brief's or run's id begins so.
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Only entries from this time on: `2026-11-21` or `2026-11-21T15:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    since: Option<DateTime<Utc>>,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints a line of JSON for each entry, as the sink has it.
    #[arg(long)]
    json: bool,
}

/// Runs a command about the log; 0 when it is whole, 1 when it is not.
pub async fn run(args: AuditArgs) -> Result<u8, UserError> {
    match args.command {
        AuditCommand::Verify(args) => verify_all(args).await,
        AuditCommand::Head(args) => head(args).await,
        AuditCommand::List(args) => list(args).await,
    }
}

async fn open(config: &Path) -> Result<(Store, Option<PathBuf>), UserError> {
    let config = super::load_config(config)?;
    let store = Store::open_to_read(&config.server.state_dir.join(STORE)).await.map_err(unavailable)?;
    Ok((store, config.audit.sink))
}

fn unavailable(error: StoreError) -> UserError {
    UserError::new(
        "audit-unavailable",
        format!("The audit log cannot be read: {error}."),
        "Run this where the server runs, as its user, with the program that the server runs.",
    )
}

async fn verify_all(args: VerifyArgs) -> Result<u8, UserError> {
    let (store, configured) = open(&args.config).await?;
    let files = if args.sink.is_empty() { configured.into_iter().collect() } else { args.sink };
    let unreadable = |file: &Path, error: &dyn std::fmt::Display| {
        UserError::new(
            "audit-sink-unreadable",
            format!("The audit sink {} cannot be read: {error}.", file.display()),
            "Name the file that holds the entries by --sink, and run this as a user who may read it.",
        )
    };
    let mut opened = Vec::new();
    for file in &files {
        opened.push(BufReader::new(File::open(file).map_err(|error| unreadable(file, &error))?));
    }
    let lines = (!opened.is_empty()).then(|| opened.into_iter().flat_map(whole_lines));
    let verdict = verify(&store, lines, args.head.as_ref()).await.map_err(unavailable)?;
    let verdict =
        verdict.map_err(|error| unreadable(files.first().map_or(Path::new(""), |file| file), &error))?;
    let whole = verdict.faults.is_empty();
    if args.json {
        print(&format!("{:#}", json!({"format": FORMAT, "whole": whole, "verdict": verdict})));
    } else {
        print(told(&verdict, &files).trim_end());
    }
    Ok(u8::from(!whole))
}

/// Reads the lines that have an end; what the server is just writing has none yet.
pub(super) fn whole_lines(mut file: impl BufRead) -> impl Iterator<Item = io::Result<String>> {
    std::iter::from_fn(move || {
        let mut line = String::new();
        match file.read_line(&mut line) {
            Ok(_) => line.strip_suffix('\n').map(|line| Ok(line.to_owned())),
            // What is not UTF-8 is no entry.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Some(Ok(String::new())),
            Err(error) => Some(Err(error)),
        }
    })
}

fn told(verdict: &Verdict, files: &[PathBuf]) -> String {
    let mut text = format!("table: {} entries", verdict.entries);
    if let Some(head) = &verdict.head {
        text.push_str(&format!("; the last good one is {head}"));
    }
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    match (verdict.sink, names.is_empty()) {
        (Some((from, to)), _) => {
            text.push_str(&format!("\nsink {}: entries {from} to {to}", names.join(", ")))
        }
        (None, false) => text.push_str(&format!("\nsink {}: no entries", names.join(", "))),
        (None, true) => {
            text.push_str("\nsink: none, so entries cut off at the end are not noticed without --head")
        }
    }
    for found in &verdict.faults {
        text.push_str(&format!("\n{}: entry {}: {}", found.place, found.fault.sequence, found.fault.what));
    }
    text.push_str(if verdict.faults.is_empty() { "\nwhole" } else { "\nNOT whole" });
    text
}

async fn head(args: HeadArgs) -> Result<u8, UserError> {
    let (store, _) = open(&args.config).await?;
    let Some(AuditRow { sequence, hash, .. }) = store.audit_head().await.map_err(unavailable)? else {
        let empty = StoreError::Entry("there is no entry yet".to_owned());
        return Err(unavailable(empty));
    };
    if args.json {
        print(&format!("{:#}", json!({"format": FORMAT, "sequence": sequence, "hash": hash})));
    } else {
        print(&format!("{sequence}:{hash}"));
    }
    Ok(0)
}

async fn list(args: ListArgs) -> Result<u8, UserError> {
    let (store, _) = open(&args.config).await?;
    let since = args.since.map(|since| since.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let show = |entry: &AuditEntry| {
        // Times of the log have one form, in which the earlier one sorts first.
        if since.as_ref().is_some_and(|since| entry.at < *since) {
            return Ok(());
        }
        print(&if args.json { entry.line().map_err(|error| unavailable(error.into()))? } else { row(entry) });
        Ok(())
    };
    if let Some(name) = &args.task {
        let task = operate::find(&store, name).await.map_err(unavailable)??;
        store.audit_of_task(task.id).await.map_err(unavailable)?.iter().try_for_each(show)?;
        return Ok(0);
    }
    let mut at = 0;
    loop {
        let rows = store.audit_after(at, PAGE).await.map_err(unavailable)?;
        let Some(last) = rows.last() else { return Ok(0) };
        at = last.sequence;
        for row in &rows {
            show(&row.entry().map_err(unavailable)?)?;
        }
    }
}

/// Writes an entry for people, on one line.
fn row(entry: &AuditEntry) -> String {
    let target = &entry.target;
    let place = target.repository.as_ref().map(|it| it.name.clone()).unwrap_or_default();
    let thread = target.thread.map(|thread| format!("#{thread}")).unwrap_or_default();
    let task = target.task.map(|task| format!(" task {task}")).unwrap_or_default();
    let status = match entry.status {
        Status::Success => "",
        Status::Refused => " REFUSED",
        Status::Failure => " FAILED",
    };
    let details =
        entry.details.iter().map(|(name, detail)| format!(" {name}={detail:?}")).collect::<String>();
    let line = format!(
        "{} {} {}{status} by {} {place}{thread}{task} {}{details}",
        entry.sequence, entry.at, entry.action, entry.actor.login, entry.reason
    );
    visible(&line).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read_head(text: &str) -> Result<(i64, String), String> {
    let (sequence, hash) = text.split_once(':').ok_or("write SEQUENCE:HASH, as `audit head` prints it")?;
    let sequence = sequence.parse().map_err(|_| "the sequence is no number")?;
    let whole = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| (sequence, hash.to_lowercase())).ok_or_else(|| "the hash has 64 hex digits".to_owned())
}

fn read_time(text: &str) -> Result<DateTime<Utc>, String> {
    let day = |text: &str| text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|day| day.and_utc());
    let time = text.parse::<DateTime<Utc>>().ok().or_else(|| day(text));
    time.ok_or_else(|| "write a day such as 2026-11-21, or a time such as 2026-11-21T15:00:00Z".to_owned())
}
