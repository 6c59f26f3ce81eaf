//! One entry of the audit log, and the one way in which it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{OPERATOR, SERVER};

/// Bounds a reason and each detail, in characters: an entry tells what happened, not a whole log.
const MOST_CHARS: usize = 2_000;

/// What is to be entered; time, sequence and hashes come with the entering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Tells what happened, in one word or two.
    pub action: String,
    /// Tells how it ended.
    pub status: Status,
    /// Tells who caused it.
    pub actor: Actor,
    /// Tells what it was done to.
    pub target: Target,
    /// Tells why, for people; may be empty.
    pub reason: String,
    /// Tells more, by name; `error` where there is one.
    pub details: BTreeMap<String, String>,
}

/// How what was entered ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was done.
    Success,
    /// Somebody may not, or it made no sense.
    Refused,
    /// It was tried, and failed.
    Failure,
}

/// Who caused something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// Holds the id; none where only a name was known.
    pub id: Option<ActorId>,
    /// Holds the name, which can change on GitHub.
    pub login: String,
}

/// What tells an actor from all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ActorId {
    /// Is the id of an account on GitHub.
    Account(u64),
    /// Is `server` or `operator`, which no account's id can be.
    Own(String),
}

/// What something was done to, as far as it is known; fields in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Holds the brief's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brief: Option<String>,
    /// Holds the delivery's GUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Names the lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Holds the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<TargetRepository>,
    /// Holds the run's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Holds the task's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<i64>,
    /// Holds the number of the issue or pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<u64>,
}

/// A repository that something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRepository {
    /// Holds its id on GitHub.
    pub id: u64,
    /// Holds its owner and name at the time.
    pub name: String,
}

/// An entry as it stands in the log. The fields have the order of their names, and details are sorted, so that
/// what serde writes is canonical: RFC 8785.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// Tells what happened.
    pub action: String,
    /// Tells who caused it.
    pub actor: Actor,
    /// Tells when: RFC 3339, UTC, to the millisecond.
    pub at: String,
    /// Tells more, by name.
    pub details: BTreeMap<String, String>,
    /// Holds the entry's own hash, in hex, where it stands beside the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Holds the hash of the entry before.
    pub previous: String,
    /// Tells why, for people.
    pub reason: String,
    /// Counts the entries up to this one, from 1.
    pub sequence: i64,
    /// Tells how it ended.
    pub status: Status,
    /// Tells what it was done to.
    pub target: Target,
}

impl Entry {
    /// Makes an entry of something that was done.
    pub fn new(action: &str, actor: impl Into<Actor>, reason: impl Into<String>) -> Self {
        Self {
            action: action.to_owned(),
            status: Status::Success,
            actor: actor.into(),
            target: Target::default(),
            reason: reason.into(),
            details: BTreeMap::new(),
        }
    }

    /// Tells what it was done to.
    #[must_use]
    pub fn about(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    /// Tells how it ended.
    #[must_use]
    pub fn ended(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Tells more, under a name.
    #[must_use]
    pub fn with(mut self, name: &str, detail: impl Into<String>) -> Self {
        self.details.insert(name.to_owned(), detail.into());
        self
    }

    /// Makes it the entry that follows on one with this sequence and hash.
    pub(super) fn follow(self, (last, previous): (i64, String), at_ms: i64) -> AuditEntry {
        let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
        let within = |text: String| match text.char_indices().nth(MOST_CHARS) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        };
        AuditEntry {
            action: self.action,
            actor: self.actor,
            at: at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            details: self.details.into_iter().map(|(name, detail)| (name, within(detail))).collect(),
            hash: None,
            previous,
            reason: within(self.reason),
            sequence: last + 1,
            status: self.status,
            target: self.target,
        }
    }
}

impl Actor {
    /// Names an account on GitHub.
    pub fn account(login: &str, id: u64) -> Self {
        Self { id: Some(ActorId::Account(id)), login: login.to_owned() }
    }

    /// Names an account by its id, where that is known, or else whom a name stands for.
    pub fn known(login: &str, id: Option<u64>) -> Self {
        id.map_or_else(|| Self::from(login), |id| Self::account(login, id))
    }
}

impl From<&str> for Actor {
    /// Takes `server` and `operator` for those; of an account it knows the name alone.
    fn from(login: &str) -> Self {
        let own = matches!(login, SERVER | OPERATOR).then(|| ActorId::Own(login.to_owned()));
        Self { id: own, login: login.to_owned() }
    }
}

impl From<&String> for Actor {
    fn from(login: &String) -> Self {
        Self::from(login.as_str())
    }
}

impl AuditEntry {
    /// Returns the canonical JSON without the entry's own hash, and that hash.
    pub(super) fn seal(&self) -> Result<(String, String), serde_json::Error> {
        let line = serde_json::to_string(&Self { hash: None, ..self.clone() })?;
        let hash = hash(&line);
        Ok((line, hash))
    }

    /// Returns the line of the sink: the canonical JSON with the entry's own hash.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Returns the SHA-256 of a text, in hex.
pub(super) fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chained(reason: &str, detail: &str) -> AuditEntry {
        let target = Target {
            repository: Some(TargetRepository { id: 7, name: "octo/example".to_owned() }),
            thread: Some(1),
            task: Some(3),
            ..Target::default()
        };
        let entry = Entry::new("stop-wanted", Actor::account("maria", 9), reason).about(target);
        entry.with("error", detail).follow((4, "0".repeat(64)), 1_767_225_604_123)
    }

    #[test]
    fn an_entry_is_one_line_whose_keys_are_sorted() {
        let (line, hash) = chained("`/stop` in\nthe thread", "").seal().unwrap();
        let expected = format!(
            r#"{{"action":"stop-wanted","actor":{{"id":9,"login":"maria"}},"at":"2026-01-01T00:00:04.123Z","details":{{"error":""}},"previous":"{}","reason":"`/stop` in\nthe thread","sequence":5,"status":"success","target":{{"repository":{{"id":7,"name":"octo/example"}},"task":3,"thread":1}}}}"#,
            "0".repeat(64)
        );
        assert_eq!(line, expected);
        // By `jq -cjS 'del(.hash)' | sha256sum`.
        assert_eq!(hash, super::hash(&expected));
        assert_eq!(super::hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn who_acts_is_told_apart_by_an_id_that_nobody_else_can_have() {
        let id = |actor: Actor| serde_json::to_value(actor).unwrap()["id"].clone();
        assert_eq!(id(SERVER.into()), "server");
        assert_eq!(id(Actor::account("server", 9)), 9);
        assert_eq!(id("maria".into()), serde_json::Value::Null);
    }

    proptest! {
        #[test]
        fn a_line_comes_back_as_it_was(reason in any::<String>(), detail in any::<String>()) {
            let mut entry = chained(&reason, &detail);
            let (line, hash) = entry.seal().unwrap();
            prop_assert_eq!(serde_json::from_str::<AuditEntry>(&line).unwrap().seal().unwrap(), (line, hash.clone()));
            entry.hash = Some(hash);
            let line = entry.line().unwrap();
            prop_assert!(!line.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<AuditEntry>(&line).unwrap(), entry);
        }
    }
}
