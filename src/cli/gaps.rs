//! `codex-brief gaps`: when deliveries were missed, and what became of each.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::error::UserError;
use crate::publish::terminal::line;
use crate::store::models::{Gap, MissedRow, time_text};
use crate::store::{Store, StoreError};

/// The version of what `--json` prints; it changes when a field is renamed or removed.
const FORMAT: u32 = 1;

/// So many gaps are shown when none is named.
const MOST: u32 = 100;

/// Tells when deliveries were missed, and what became of each.
#[derive(Debug, Args)]
pub struct GapsArgs {
    /// The number of a gap of which everything is shown; without it the last gaps are listed.
    #[arg(value_name = "GAP")]
    gap: Option<i64>,
    /// The server's configuration file.
    #[arg(long, default_value = "codex-brief.toml", value_name = "FILE")]
    config: PathBuf,
    /// Prints JSON, with everything that was missed in each gap.
    #[arg(long)]
    json: bool,
}

type Whole = (Gap, Vec<MissedRow>);

/// Prints the gaps; 0 when nothing was lost in them, 1 when something was.
pub async fn run(args: GapsArgs) -> Result<u8, UserError> {
    let state = super::load_config(&args.config)?.server.state_dir;
    let gaps = read(&state.join("codex-brief.sqlite"), args.gap).await.map_err(|error| {
        UserError::new(
            "gaps-unavailable",
            format!("The gaps cannot be read: {error}."),
            "Run this where the server runs, as its user.",
        )
    })?;
    if let (Some(number), true) = (args.gap, gaps.is_empty()) {
        return Err(UserError::new(
            "gap-unknown",
            format!("There is no gap {number}."),
            "`codex-brief gaps` without a number lists them.",
        ));
    }
    match (args.json, args.gap) {
        (true, _) => super::print_json(&as_json(&gaps)),
        (false, Some(_)) => super::print(gaps.iter().map(whole_text).collect::<String>().trim_end()),
        (false, None) => super::print(table(&gaps).trim_end()),
    }
    Ok(u8::from(gaps.iter().any(|(gap, _)| gap.lost > 0)))
}

async fn read(file: &std::path::Path, number: Option<i64>) -> Result<Vec<Whole>, StoreError> {
    let store = Store::open_to_read(file).await?;
    let numbers = match number {
        Some(number) => vec![number],
        None => store.gaps(MOST).await?.iter().map(|gap| gap.id).collect(),
    };
    let mut gaps = Vec::new();
    for number in numbers {
        gaps.extend(store.gap(number).await?);
    }
    Ok(gaps)
}

fn table(gaps: &[Whole]) -> String {
    if gaps.is_empty() {
        return "No delivery was missed.\n".to_owned();
    }
    let mut text = format!(
        "{:>4}  {:20}  {:20}  {:>6}  {:>9}  {:>4}  {:>7}\n",
        "gap", "from", "to", "missed", "recovered", "lost", "waiting"
    );
    for (gap, _) in gaps {
        let _ = writeln!(
            text,
            "{:>4}  {:20}  {:20}  {:>6}  {:>9}  {:>4}  {:>7}{}",
            gap.id,
            time_text(gap.from_ms),
            time_text(gap.to_ms),
            gap.missed,
            gap.recovered,
            gap.lost,
            gap.waiting,
            if gap.closed_at_ms.is_none() { "  still open" } else { "" }
        );
    }
    text.push_str("`codex-brief gaps GAP` tells what was missed in one.\n");
    text
}

fn whole_text((gap, rows): &Whole) -> String {
    let mut text = format!("Gap {}, {}\n", gap.id, gap.summary());
    let closed = gap.closed_at_ms.map_or("still open".to_owned(), |at| format!("closed {}", time_text(at)));
    let _ = writeln!(text, "found {}, {closed}", time_text(gap.found_at_ms));
    for note in gap.note.iter().flat_map(|note| note.lines()) {
        let _ = writeln!(text, "note: {}", line(note));
    }
    for row in rows {
        let missed = &row.missed;
        let _ =
            writeln!(text, "{}  {:9}  {}", time_text(missed.at_ms), row.state.as_str(), line(&missed.what));
        for more in [&row.reason, &row.outcome].into_iter().flatten() {
            let _ = writeln!(text, "    {}", line(more));
        }
        let _ = writeln!(text, "    {}", line(&missed.name));
    }
    text
}

fn as_json(gaps: &[Whole]) -> Value {
    let missed = |row: &MissedRow| {
        json!({
            "name": row.missed.name,
            "what": row.missed.what,
            "at": time_text(row.missed.at_ms),
            "state": row.state,
            "asked": row.asked,
            "reason": row.reason,
            "outcome": row.outcome,
        })
    };
    let gap = |(gap, rows): &Whole| {
        json!({
            "gap": gap.id,
            "from": time_text(gap.from_ms),
            "to": time_text(gap.to_ms),
            "found_at": time_text(gap.found_at_ms),
            "closed_at": gap.closed_at_ms.map(time_text),
            "missed": gap.missed,
            "recovered": gap.recovered,
            "lost": gap.lost,
            "waiting": gap.waiting,
            "notes": gap.note.as_deref().map(|note| note.lines().collect::<Vec<_>>()).unwrap_or_default(),
            "deliveries": rows.iter().map(missed).collect::<Vec<_>>(),
        })
    };
    let gaps: Vec<Value> = gaps.iter().map(gap).collect();
    json!({"format": FORMAT, "gaps": gaps})
}
