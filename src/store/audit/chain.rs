//! Whether entries follow on each other: what was changed, taken out, put in or moved is found.

use std::fmt;

use serde::Serialize;

use super::entry::{AuditEntry, hash};

/// What the first entry has in place of the hash of the one before.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What is wrong with a chain, and from which entry on it cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Holds the sequence number of the first entry that is bad.
    pub sequence: i64,
    /// Tells what is wrong.
    pub what: Wrong,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrong {
    /// Its content and its hash do not belong together, or it is no entry.
    Changed,
    /// It is not there, and later ones are.
    Missing,
    /// Another entry stands in its place.
    OutOfOrder,
    /// The entry after it was made when another one stood here.
    Replaced,
    /// It and what followed it are not there any more.
    CutOff,
    /// It is another one in the other place.
    Differs,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "it was changed: its hash is not that of its content",
            Self::Missing => "it is missing",
            Self::OutOfOrder => "another entry stands in its place",
            Self::Replaced => "it is not the entry that the next one follows on",
            Self::CutOff => "it is missing, and so is all that came after it",
            Self::Differs => "it is not the entry that the other place has",
        })
    }
}

/// Checks entries one after the other.
#[derive(Debug)]
pub struct Chain {
    /// Holds the sequence and hash of the last good entry; `None` before the first of a part.
    last: Option<(i64, String)>,
}

impl Chain {
    /// Begins at the beginning.
    pub fn whole() -> Self {
        Self { last: Some((0, GENESIS.to_owned())) }
    }

    /// Begins at whatever entry comes first, such as in a file that another one came before.
    pub fn part() -> Self {
        Self { last: None }
    }

    /// Returns the sequence and hash of the last good entry; 0 for none.
    pub fn head(&self) -> (i64, &str) {
        self.last.as_ref().map_or((0, GENESIS), |(sequence, hash)| (*sequence, hash))
    }

    /// Checks the next entry, which stands at `place` as `line` (without its own hash) with `own` as its hash.
    pub fn check(&mut self, place: i64, line: &str, own: &str) -> Result<AuditEntry, Fault> {
        let bad = |sequence, what| Err(Fault { sequence, what });
        if let Some((last, _)) = &self.last
            && place != last + 1
        {
            return if place > *last {
                bad(last + 1, Wrong::Missing)
            } else {
                bad(last + 1, Wrong::OutOfOrder)
            };
        }
        let Ok(entry) = serde_json::from_str::<AuditEntry>(line) else { return bad(place, Wrong::Changed) };
        if entry.sequence != place {
            return bad(place, Wrong::OutOfOrder);
        }
        let canonical = entry.seal().is_ok_and(|(canonical, _)| canonical == line);
        if !canonical || hash(line) != own {
            return bad(place, Wrong::Changed);
        }
        if let Some((last, previous)) = &self.last
            && entry.previous != *previous
        {
            return if *last == 0 { bad(place, Wrong::Changed) } else { bad(*last, Wrong::Replaced) };
        }
        self.last = Some((place, own.to_owned()));
        Ok(entry)
    }

    /// Checks the next line of a sink.
    pub fn check_line(&mut self, line: &str) -> Result<AuditEntry, Fault> {
        let next = self.last.as_ref().map_or(1, |(last, _)| last + 1);
        let bad = || Fault { sequence: next, what: Wrong::Changed };
        let entry: AuditEntry = serde_json::from_str(line).map_err(|_| bad())?;
        let own = entry.hash.clone().ok_or_else(bad)?;
        if entry.line().map_err(|_| bad())? != line {
            return Err(Fault { sequence: entry.sequence, what: Wrong::Changed });
        }
        let (inner, _) = entry.seal().map_err(|_| bad())?;
        self.check(entry.sequence, &inner, &own)?;
        Ok(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audit::Entry;

    type Row = (i64, String, String);

    fn rows(count: i64) -> Vec<Row> {
        let (mut rows, mut head) = (Vec::new(), (0, GENESIS.to_owned()));
        for n in 1..=count {
            let (line, hash) = Entry::new("queued", "maria", format!("{n}")).follow(head, n).seal().unwrap();
            head = (n, hash.clone());
            rows.push((n, line, hash));
        }
        rows
    }

    fn fault(rows: &[Row]) -> Option<(i64, Wrong)> {
        let mut chain = Chain::whole();
        let found = rows.iter().find_map(|(place, line, hash)| chain.check(*place, line, hash).err());
        found.map(|fault| (fault.sequence, fault.what))
    }

    #[test]
    fn what_was_done_to_a_chain_is_found_at_its_first_bad_entry() {
        assert_eq!(fault(&rows(5)), None);
        let tampered = |with: fn(&mut Vec<Row>)| {
            let mut rows = rows(5);
            with(&mut rows);
            fault(&rows)
        };
        let changed = |rows: &mut Vec<Row>| rows[2].1 = rows[2].1.replace("maria", "olga");
        assert_eq!(tampered(changed), Some((3, Wrong::Changed)));
        assert_eq!(tampered(|rows| rows[2].1.push(' ')), Some((3, Wrong::Changed)));
        assert_eq!(tampered(|rows| drop(rows.remove(2))), Some((3, Wrong::Missing)));
        assert_eq!(tampered(|rows| drop(rows.remove(0))), Some((1, Wrong::Missing)));
        let swapped = |rows: &mut Vec<Row>| {
            let (one, other) = (rows[1].clone(), rows[3].clone());
            (rows[1].1, rows[1].2) = (other.1, other.2);
            (rows[3].1, rows[3].2) = (one.1, one.2);
        };
        assert_eq!(tampered(swapped), Some((2, Wrong::OutOfOrder)));
        // Whoever knows the rule makes the changed entry fit its own hash; the next one tells.
        let hashed_anew = |rows: &mut Vec<Row>| {
            rows[2].1 = rows[2].1.replace("maria", "olga");
            rows[2].2 = hash(&rows[2].1);
        };
        assert_eq!(tampered(hashed_anew), Some((3, Wrong::Replaced)));
        let first_anew = |rows: &mut Vec<Row>| {
            rows[0].1 = rows[0].1.replace(GENESIS, &"1".repeat(64));
            rows[0].2 = hash(&rows[0].1);
        };
        assert_eq!(tampered(first_anew), Some((1, Wrong::Changed)));
        let repeated = |rows: &mut Vec<Row>| rows.insert(3, rows[2].clone());
        assert_eq!(tampered(repeated), Some((4, Wrong::OutOfOrder)));
    }

    #[test]
    fn a_part_may_begin_anywhere_and_its_lines_are_as_they_were_written() {
        let mut lines: Vec<String> = rows(5)
            .iter()
            .map(|(_, line, hash)| {
                let entry: AuditEntry = serde_json::from_str(line).unwrap();
                AuditEntry { hash: Some(hash.clone()), ..entry }.line().unwrap()
            })
            .collect();
        let check = |lines: &[String]| {
            let mut chain = Chain::part();
            lines
                .iter()
                .find_map(|line| chain.check_line(line).err())
                .map(|fault| (fault.sequence, fault.what))
        };
        assert_eq!(check(&lines[2..]), None);
        assert_eq!(check(&[lines[1].clone(), lines[3].clone()]), Some((3, Wrong::Missing)));
        assert_eq!(check(&[lines[1].clone(), lines[1].clone()]), Some((3, Wrong::OutOfOrder)));
        lines[2] = lines[2].replace("\"action\"", " \"action\"");
        assert_eq!(check(&lines), Some((3, Wrong::Changed)));
        assert_eq!(check(&["{}".to_owned()]), Some((1, Wrong::Changed)));
    }
}
