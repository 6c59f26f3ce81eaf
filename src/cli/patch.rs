//! `codex-brief patch`: what a run changed, also when nothing of it was published (row N4).

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;

use crate::error::UserError;
use crate::publish::{diff, terminal};
use crate::run::changeset::Changeset;
use crate::run::mirror::Mirrors;
use crate::store::Store;
use crate::store::blobs::Blobs;

/// Prints the changes of a run, as a patch for `git apply`.
///
/// A terminal is shown them with control characters and the like escaped: send the patch to a file or
/// a program where it is to be applied.
#[derive(Debug, Args)]
pub struct PatchArgs {
    /// The run's or the brief's id, or how it begins; result comments show both.
    #[arg(value_name = "RUN")]
    id: String,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Prints the patch; 0 with one, 1 when the run changed nothing.
pub async fn run(args: PatchArgs) -> Result<u8, UserError> {
    let state = super::load_config(&args.config)?.server.state_dir;
    let failed = |error: &dyn std::fmt::Display| {
        UserError::new(
            "patch-unavailable",
            format!("The patch of {} cannot be made: {error}.", args.id),
            "Run this where the server runs, as its user.",
        )
    };
    let store =
        Store::open_to_read(&state.join("codex-brief.sqlite")).await.map_err(|error| failed(&error))?;
    let found = store.find_run(&args.id).await.map_err(|error| failed(&error))?;
    let found = found.filter(|_| args.id.len() >= 8);
    if found.is_none()
        && args.id.len() >= 8
        && store.is_forgotten(&args.id).await.map_err(|error| failed(&error))?
    {
        return Err(UserError::new(
            "patch-pruned",
            format!("The changes of {} are past their time and were removed.", args.id),
            "Keep them longer by retention.runs_days, or restore a backup that still holds them.",
        ));
    }
    let run = found.ok_or_else(|| {
        UserError::new(
            "run-unknown",
            format!("There is no ended run that begins with `{}`.", args.id),
            "Give at least 8 digits of the id that the result comment shows.",
        )
    })?;
    let Some(changeset) = run.changeset else {
        eprintln!("The run {} ended before anything could be collected.", run.task.run_id);
        return Ok(1);
    };
    let changeset: Changeset = serde_json::from_str(&changeset).map_err(|error| failed(&error))?;
    let mirror = Mirrors::open(state.join("mirrors"))
        .and_then(|mirrors| mirrors.mirror(run.task.brief.source.repository_id))
        .map_err(|error| failed(&error))?;
    let patch = {
        let blobs = Blobs::open(state.join("blobs")).map_err(|error| failed(&error))?;
        let repository = mirror.repository().map_err(|error| failed(&error))?;
        diff::patch(&repository, &blobs, &changeset).map_err(|error| failed(&error))?
    };
    let mut out = std::io::stdout().lock();
    // Whoever reads it in a terminal shall see what is in it; a program gets every byte.
    let shown = match out.is_terminal() {
        true => terminal::text(&String::from_utf8_lossy(&patch)).into_bytes(),
        false => patch.clone(),
    };
    out.write_all(&shown).and_then(|()| out.flush()).map_err(|error| failed(&error))?;
    Ok(u8::from(patch.is_empty()))
}
