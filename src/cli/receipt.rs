//! `codex-brief receipt`: the signed receipts of runs, and the keys by which they can be checked.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::print;
use crate::error::UserError;
use crate::receipt::Receipt;
use crate::server::operate;
use crate::store::backup::STORE;
use crate::store::models::time_text;
use crate::store::{Store, StoreError};

/// The version of what `--json` prints; it changes when a field is renamed or removed.
const FORMAT: u32 = 1;

/// Prints the signed receipts of runs, and the keys by which they can be checked.
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    #[command(subcommand)]
    command: ReceiptCommand,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    /// Prints the receipt of a task's last run that was published, as `codex-brief verify` reads it.
    Show(ShowArgs),
    /// Prints every public key that receipts were signed by, in PEM, the newest first.
    Keys(KeysArgs),
}

/// Prints a receipt.
#[derive(Debug, Args)]
struct ShowArgs {
    /// The brief's or the run's id, or how it begins; result comments show both.
    #[arg(value_name = "TASK")]
    task: String,
    /// Prints what is signed, for people, rather than the envelope.
    #[arg(long)]
    statement: bool,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Prints public keys.
#[derive(Debug, Args)]
struct KeysArgs {
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints names and times too, as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs a command about receipts; 0 when there is something to print.
pub async fn run(args: ReceiptArgs) -> Result<u8, UserError> {
    match args.command {
        ReceiptCommand::Show(args) => show(args).await,
        ReceiptCommand::Keys(args) => keys(args).await,
    }
}

async fn open(config: &Path) -> Result<Store, UserError> {
    let config = super::load_config(config)?;
    Store::open_to_read(&config.server.state_dir.join(STORE)).await.map_err(unavailable)
}

fn unavailable(error: StoreError) -> UserError {
    UserError::new(
        "receipt-unavailable",
        format!("The receipts cannot be read: {error}."),
        "Run this where the server runs, as its user, with the program that the server runs.",
    )
}

async fn show(args: ShowArgs) -> Result<u8, UserError> {
    let store = open(&args.config).await?;
    let task = operate::find(&store, &args.task).await.map_err(unavailable)??;
    let row = store.receipt_of_task(task.id).await.map_err(unavailable)?.ok_or_else(|| {
        UserError::new(
            "receipt-none",
            format!("The task of the brief {} has no receipt: no run of it was published.", task.brief.id.short()),
            "`codex-brief status` tells where the task stands; runs that an older version published have none.",
        )
    })?;
    if args.statement {
        let receipt = Receipt::read(&row.envelope).map_err(|why| unavailable(StoreError::Entry(why)))?;
        super::print_json(&receipt.statement);
    } else {
        print(&row.envelope);
    }
    Ok(0)
}

async fn keys(args: KeysArgs) -> Result<u8, UserError> {
    let keys = open(&args.config).await?.receipt_keys().await.map_err(unavailable)?;
    if keys.is_empty() {
        return Err(UserError::new(
            "receipt-none",
            "There is no key yet that signs receipts.",
            "Start the server once: it makes the key.",
        ));
    }
    if args.json {
        let each =
            keys.iter().map(|key| json!({"id": key.id, "since": time_text(key.since_ms), "pem": key.pem}));
        super::print_json(&json!({"format": FORMAT, "keys": each.collect::<Vec<_>>()}));
    } else {
        print(keys.iter().map(|key| key.pem.as_str()).collect::<String>().trim_end());
    }
    Ok(0)
}
