//! Whether the audit log is what was entered: in the table, in the sink, and in both the same.

use std::collections::HashMap;
use std::io;

use serde::Serialize;

use super::chain::{Chain, Fault, Wrong};
use crate::store::{Store, StoreError};

/// How many entries are read at once.
const PAGE: u32 = 1_000;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Counts the entries in the table.
    pub entries: u64,
    /// Holds the last good entry of the table, as `SEQUENCE:HASH`; none where there is no entry.
    pub head: Option<String>,
    /// Tells which entries are in the sink, first and last.
    pub sink: Option<(i64, i64)>,
    /// Holds the first fault of each place.
    pub faults: Vec<Found>,
}

/// A fault, and where it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Names the place: `table`, `sink`, or `head` for an entry that somebody remembered.
    pub place: &'static str,
    /// Tells what is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Verdict {
    fn find(&mut self, place: &'static str, sequence: i64, what: Wrong) {
        self.faults.push(Found { place, fault: Fault { sequence, what } });
    }
}

/// Checks the table of a store; also the lines of its sink, where given, and an entry that somebody remembered
/// by its sequence and hash.
///
/// # Errors
/// Fails where the store cannot be read; a sink that cannot is the inner error.
pub async fn verify(
    store: &Store,
    sink: Option<impl Iterator<Item = io::Result<String>>>,
    remembered: Option<&(i64, String)>,
) -> Result<io::Result<Verdict>, StoreError> {
    let mut verdict = Verdict::default();
    // Read first, since the server goes on: what it notes later need not be in the lines.
    let noted = store.audit_in_sink().await?;
    let lines = match sink.map(|lines| read_sink(lines, &mut verdict)) {
        None => None,
        Some(Ok(lines)) => Some(lines),
        Some(Err(error)) => return Ok(Err(error)),
    };
    let table = read_table(store, &mut verdict).await?;
    let last = table.keys().max().copied().unwrap_or(0);
    if let Some(lines) = lines {
        match verdict.sink.map_or(0, |(_, last)| last) {
            in_sink if in_sink > last => verdict.find("table", last + 1, Wrong::CutOff),
            in_sink if in_sink < noted && !verdict.faults.iter().any(|found| found.place == "sink") => {
                verdict.find("sink", in_sink + 1, Wrong::CutOff);
            }
            _ => {}
        }
        let differs = |(n, own): &&(i64, String)| table.get(n).is_some_and(|hash| hash != own);
        if let Some((n, _)) = lines.iter().find(differs) {
            verdict.find("sink", *n, Wrong::Differs);
        }
    }
    if let Some((sequence, hash)) = remembered {
        match table.get(sequence) {
            Some(found) if found == hash => {}
            Some(_) => verdict.find("head", *sequence, Wrong::Differs),
            None if *sequence > last => verdict.find("head", last + 1, Wrong::CutOff),
            None => verdict.find("head", *sequence, Wrong::Missing),
        }
    }
    Ok(Ok(verdict))
}

async fn read_table(store: &Store, verdict: &mut Verdict) -> Result<HashMap<i64, String>, StoreError> {
    let (mut chain, mut table, mut at, mut whole) = (Chain::whole(), HashMap::new(), i64::MIN, true);
    loop {
        let rows = store.audit_after(at, PAGE).await?;
        let Some(last) = rows.last() else { break };
        at = last.sequence;
        for row in rows {
            verdict.entries += 1;
            if whole && let Err(Fault { sequence, what }) = chain.check(row.sequence, &row.line, &row.hash) {
                verdict.find("table", sequence, what);
                whole = false;
            }
            table.insert(row.sequence, row.hash);
        }
    }
    let (sequence, hash) = chain.head();
    verdict.head = (sequence > 0).then(|| format!("{sequence}:{hash}"));
    Ok(table)
}

fn read_sink(
    lines: impl Iterator<Item = io::Result<String>>,
    verdict: &mut Verdict,
) -> io::Result<Vec<(i64, String)>> {
    let (mut chain, mut read) = (Chain::part(), Vec::new());
    for line in lines {
        match chain.check_line(&line?) {
            Ok(entry) => read.push((entry.sequence, entry.hash.unwrap_or_default())),
            Err(Fault { sequence, what }) => {
                verdict.find("sink", sequence, what);
                break;
            }
        }
    }
    verdict.sink = read.first().zip(read.last()).map(|(first, last)| (first.0, last.0));
    Ok(read)
}
