//! `codex-brief verify`: what of a receipt holds, told item by item, without asking the server.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::audit::whole_lines;
use super::{fetch, print};
use crate::error::UserError;
use crate::receipt::statement::Statement;
use crate::receipt::verify::{AtHand, Finding, FoundCommit, FoundLog, Outcome, proven, verify};
use crate::receipt::{PublicKey, Receipt, find};
use crate::run::changeset::CommitId;
use crate::store::Store;
use crate::store::audit::AuditEntry;
use crate::store::audit::chain::Chain;
use crate::store::backup::STORE;
use crate::store::{DIGEST, RECEIPT};

/// The version of what `--json` prints; it changes when a field is renamed or removed.
const FORMAT: u32 = 1;

/// How many entries of the audit log are read at once.
const PAGE: u32 = 1_000;

/// Bounds a log file: what is kept of a step's log is bounded too, by default to 2 MiB.
const MAX_LOG: u64 = 256 << 20;

/// Tells whether a receipt holds: by whom it was signed, and whether commit, brief, logs and audit log are those
/// that it names. What is not given is not checked, and is told.
///
/// Ends with 0 when the signature holds and nothing differs, with 1 when not, and with 2 when there is no receipt
/// to be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  curl https://YOUR-HOST/receipt-keys > keys.pem     # once; keep the file
  codex-brief verify --key keys.pem https://github.com/octo/example/pull/12
  codex-brief verify --key keys.pem --repo ./example receipt.json")]
pub struct VerifyArgs {
    /// A file with the receipt, or with a page that holds one, such as a pull request's body; `-` for standard
    /// input; or the address of a pull request or of such a file.
    #[arg(value_name = "FILE|URL")]
    receipt: String,
    /// A file with the public keys that are trusted, in PEM; `codex-brief receipt keys` prints them.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A clone of the repository: looks whether it has the commit, with this tree and parent.
    #[arg(long, value_name = "PATH")]
    repo: Option<PathBuf>,
    /// The brief, or the text that it stands in.
    #[arg(long, value_name = "FILE")]
    brief: Option<PathBuf>,
    /// A step's log, or a folder of them, such as `runs/RUN/logs` of the state directory; may be given several
    /// times.
    #[arg(long, value_name = "PATH")]
    log: Vec<PathBuf>,
    /// Looks for the receipt in the audit log: in a file of its sink, or without one in the server's store.
    #[arg(long, value_name = "SINK", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option, reason = "clap's way to tell `--audit` from `--audit=SINK`")]
    audit: Option<Option<PathBuf>>,
    /// The server's configuration file, for `--audit`.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// The address of GitHub's API, where it does not follow from that of the pull request.
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// Prints the findings as JSON.
    #[arg(long)]
    json: bool,
}

/// Verifies a receipt; 0 when it is proven, 1 when not.
pub async fn run(args: VerifyArgs) -> Result<u8, UserError> {
    let fetched = fetched(&args).await?;
    let receipt = find(&fetched.text).map_err(|why| {
        UserError::new(
            "receipt-unreadable",
            format!("{} holds no receipt that can be checked: {why}.", args.receipt),
            "Give the file that `codex-brief receipt show` printed, or the body of one pull request as it is; a \
             receipt of a newer version needs that version.",
        )
    })?;
    let (statement, digest) = (&receipt.statement, receipt.digest());
    let at_hand = AtHand {
        keys: args.key.as_deref().map(keys).transpose()?,
        brief: args
            .brief
            .as_deref()
            .map(|file| fetch::file(file).map_err(|why| unreadable(file, &why)))
            .transpose()?,
        commit: args.repo.as_deref().map(|path| commit(path, statement)),
        logs: if args.log.is_empty() { None } else { Some(logs(&args.log)?) },
        audit: match &args.audit {
            None => None,
            Some(Some(sink)) => Some(in_sink(sink, &digest)?),
            Some(None) => Some(in_store(&args.config, &digest).await?),
        },
        pull: fetched.pull,
    };
    let findings = verify(&receipt, &at_hand);
    let proven = proven(&findings);
    if args.json {
        super::print_json(&json!({
            "format": FORMAT,
            "proven": proven,
            "digest": digest,
            "findings": findings,
            "statement": statement,
        }));
    } else {
        print(&told(&receipt, &findings, proven));
    }
    Ok(u8::from(!proven))
}

async fn fetched(args: &VerifyArgs) -> Result<fetch::Fetched, UserError> {
    let from = &args.receipt;
    if from.starts_with("https://") || from.starts_with("http://") {
        let token = ["GITHUB_TOKEN", "GH_TOKEN"].iter().find_map(|name| std::env::var(name).ok());
        return fetch::address(from, args.api_url.as_deref(), token.as_deref()).await.map_err(|why| {
            UserError::new(
                "receipt-unreachable",
                format!("The receipt cannot be fetched: {why}."),
                "Save the pull request's body, or what `codex-brief receipt show` prints, and give the file.",
            )
        });
    }
    let text = fetch::file(Path::new(from)).map_err(|why| unreadable(Path::new(from), &why))?;
    Ok(fetch::Fetched { text, pull: None })
}

fn unreadable(path: &Path, why: &str) -> UserError {
    UserError::new(
        "verify-unreadable",
        format!("{} cannot be read: {why}.", path.display()),
        "Give a file that is there and that you may read.",
    )
}

fn keys(file: &Path) -> Result<Vec<PublicKey>, UserError> {
    let text = fetch::file(file).map_err(|why| unreadable(file, &why))?;
    PublicKey::read_all(text.as_bytes()).map_err(|why| {
        UserError::new(
            "verify-key-unusable",
            format!("{} holds no key that receipts are checked by: {why}.", file.display()),
            "Give what `codex-brief receipt keys` prints, or the server's /receipt-keys.",
        )
    })
}

/// Looks a receipt's commit up in a clone.
fn commit(path: &Path, statement: &Statement) -> Result<Option<FoundCommit>, String> {
    let fails = |error: &git2::Error| format!("{}: {}", path.display(), error.message());
    let repository = git2::Repository::open(path).map_err(|error| fails(&error))?;
    let id: CommitId = statement.commit().git_commit.parse().map_err(|_| "no commit's name".to_owned())?;
    match repository.find_commit(id.oid()) {
        Ok(commit) => Ok(Some(FoundCommit {
            tree: commit.tree_id().to_string(),
            parents: commit.parent_ids().map(|parent| parent.to_string()).collect(),
        })),
        Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
        Err(error) => Err(fails(&error)),
    }
}

/// Reads logs, and those in folders.
fn logs(paths: &[PathBuf]) -> Result<Vec<FoundLog>, UserError> {
    let mut found = Vec::new();
    for path in paths {
        let fails = |error: std::io::Error| unreadable(path, &error.to_string());
        let mut files = match path.is_dir() {
            true => {
                let entries = fs::read_dir(path).map_err(fails)?;
                let entries = entries.map(|entry| entry.map(|entry| entry.path()));
                entries.collect::<Result<Vec<_>, _>>().map_err(fails)?
            }
            false => vec![path.clone()],
        };
        files.sort();
        for file in files {
            if fs::metadata(&file).map_err(fails)?.len() > MAX_LOG {
                return Err(unreadable(&file, &format!("it has more than {MAX_LOG} bytes")));
            }
            let sha256 = hex::encode(Sha256::digest(fs::read(&file).map_err(fails)?));
            found.push(FoundLog { name: file.display().to_string(), sha256 });
        }
    }
    Ok(found)
}

/// Tells whether an entry of the audit log names a receipt.
fn names(entry: &AuditEntry, digest: &str) -> bool {
    entry.action == RECEIPT && entry.details.get(DIGEST).is_some_and(|found| found == digest)
}

/// Looks for a receipt in a file of the sink; the inner error tells of a chain that is broken.
fn in_sink(sink: &Path, digest: &str) -> Result<Result<Option<i64>, String>, UserError> {
    let fails = |error: std::io::Error| unreadable(sink, &error.to_string());
    let file = BufReader::new(File::open(sink).map_err(fails)?);
    let (mut chain, mut found) = (Chain::part(), None);
    for line in whole_lines(file) {
        match chain.check_line(&line.map_err(fails)?) {
            Ok(entry) if names(&entry, digest) => found = Some(entry.sequence),
            Ok(_) => {}
            Err(fault) => {
                return Ok(Err(format!("the log is broken at entry {}: {}", fault.sequence, fault.what)));
            }
        }
    }
    Ok(Ok(found))
}

/// Looks for a receipt in the server's store, as [`in_sink`] does.
async fn in_store(config: &Path, digest: &str) -> Result<Result<Option<i64>, String>, UserError> {
    let unavailable = |error: crate::store::StoreError| {
        UserError::new(
            "audit-unavailable",
            format!("The audit log cannot be read: {error}."),
            "Run this where the server runs, as its user, or give a file of the sink: --audit=FILE.",
        )
    };
    let config = super::load_config(config)?;
    let store = Store::open_to_read(&config.server.state_dir.join(STORE)).await.map_err(unavailable)?;
    let (mut chain, mut found, mut at) = (Chain::whole(), None, 0);
    loop {
        let rows = store.audit_after(at, PAGE).await.map_err(unavailable)?;
        let Some(last) = rows.last() else { return Ok(Ok(found)) };
        at = last.sequence;
        for row in &rows {
            match chain.check(row.sequence, &row.line, &row.hash) {
                Ok(entry) if names(&entry, digest) => found = Some(row.sequence),
                Ok(_) => {}
                Err(fault) => {
                    return Ok(Err(format!("the log is broken at entry {}: {}", fault.sequence, fault.what)));
                }
            }
        }
    }
}

fn told(receipt: &Receipt, findings: &[Finding], proven: bool) -> String {
    let Statement { predicate, .. } = &receipt.statement;
    let mut text = format!(
        "receipt {}\n  of commit {} in {}\n  made by run {} on lane {}, asked for by {} ({}), {} to {}\n",
        receipt.digest(),
        receipt.statement.commit().git_commit,
        predicate.repository.name,
        predicate.run.id,
        predicate.run.lane,
        predicate.requested_by.login,
        predicate.requested_by.id,
        predicate.run.started_at,
        predicate.run.ended_at,
    );
    if let Some(approval) = &predicate.approval {
        text.push_str(&format!(
            "  approved by {} ({}), {}\n",
            approval.by.login, approval.by.id, approval.at
        ));
    }
    for Finding { item, outcome, says } in findings {
        let word = match outcome {
            Outcome::Matches => "matches",
            Outcome::Differs => "DIFFERS",
            Outcome::Unchecked => "not checked",
        };
        text.push_str(&format!("{word:<11}  {item}: {says}\n"));
    }
    text.push_str(if proven { "proven, as far as it was checked" } else { "NOT proven" });
    text
}
