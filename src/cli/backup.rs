//! `codex-brief backup`: copies the store while the server serves, and looks whether a copy is whole.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::error::UserError;
use crate::store::audit::Entry;
use crate::store::backup::{self, BackupError, Manifest, STORE};
use crate::store::{OPERATOR, Store, StoreError, refusal};

/// Copies the store and the changes that it names; the server may go on meanwhile.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder of the backup; it is made, or must be empty.
    #[arg(long, value_name = "FOLDER", required_unless_present = "verify")]
    to: Option<PathBuf>,
    /// Looks whether the backup in this folder is whole, and changes nothing.
    #[arg(long, value_name = "FOLDER", conflicts_with = "to")]
    verify: Option<PathBuf>,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints the backup's manifest as JSON.
    #[arg(long)]
    json: bool,
}

/// Makes or verifies a backup; 0 when it is whole, 1 when something is missing in it.
pub async fn run(args: BackupArgs) -> Result<u8, UserError> {
    let (folder, manifest, wrong) = match (&args.to, &args.verify) {
        (Some(to), _) => {
            let manifest = make(&args.config, to).await?;
            let gone = |id| format!("the content {id} is missing or damaged in the state directory");
            let wrong = manifest.missing.iter().map(gone).collect();
            (to, manifest, wrong)
        }
        (None, Some(folder)) => {
            let (manifest, wrong) = backup::verify(folder).await.map_err(|error| failed(folder, error))?;
            (folder, manifest, wrong)
        }
        (None, None) => return Ok(super::TROUBLE),
    };
    for wrong in &wrong {
        eprintln!("{}: {wrong}", folder.display());
    }
    if args.json {
        super::print_json(&manifest);
    } else {
        super::print(&summary(folder, &manifest, wrong.is_empty()));
    }
    Ok(u8::from(!wrong.is_empty()))
}

async fn make(config: &Path, to: &Path) -> Result<Manifest, UserError> {
    let state = super::load_config(config)?.server.state_dir;
    let shown = std::io::stderr().is_terminal();
    let tell = |done: u64, all: u64| {
        if shown && (done.is_multiple_of(100) || done == all) {
            eprint!("\r{done} of {all} contents copied{}", if done == all { "\n" } else { "" });
            // Progress that cannot be shown is no reason to stop.
            let _ = std::io::stderr().flush();
        }
    };
    if shown {
        eprintln!("copying {}", state.join(STORE).display());
    }
    let manifest = backup::make(&state, to, tell).await.map_err(|error| match error {
        BackupError::Store(error) if is_damage(&error) => refusal(&state.join(STORE), &error),
        error => failed(to, error),
    })?;
    if let Err(error) = enter(&state.join(STORE), to, &manifest).await {
        eprintln!("warning: the backup is made, but the audit log does not tell of it: {error}");
    }
    Ok(manifest)
}

/// Enters into the audit log where a copy of private texts went.
async fn enter(store: &Path, to: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let store = Store::open_beside(store).await?;
    let entry = Entry::new("backup", OPERATOR, "`codex-brief backup` on the server");
    let entry = entry.with("folder", to.display().to_string()).with("store_sha256", &manifest.store_sha256);
    let entered = store.audit(entry).await;
    store.close().await;
    entered
}

fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt(_))
}

fn failed(folder: &Path, error: BackupError) -> UserError {
    let folder = folder.display();
    match error {
        BackupError::Exists => UserError::new(
            "backup-exists",
            format!("The folder {folder} holds something already; nothing was changed."),
            "Name a new folder by --to, such as one with today's date.",
        ),
        BackupError::Unusable(why) => UserError::new(
            "backup-unusable",
            format!("The folder {folder} holds no finished backup: {why}."),
            "Use another backup, or make a new one.",
        ),
        error => UserError::new(
            "backup-failed",
            format!("The backup in {folder} failed: {error}. Nothing of it was left."),
            "Run it where the server runs, as its user, and look at the space on the disk.",
        ),
    }
}

fn summary(folder: &Path, manifest: &Manifest, whole: bool) -> String {
    format!(
        "{}: {} of {}; {} briefs, {} runs, {} changed contents; store {} KiB, contents {} KiB",
        folder.display(),
        if whole { "a whole backup" } else { "NOT a whole backup" },
        manifest.made_at,
        manifest.briefs,
        manifest.runs,
        manifest.blobs,
        manifest.store_bytes.div_ceil(1024),
        manifest.blob_bytes.div_ceil(1024),
    )
}
