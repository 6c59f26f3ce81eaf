//! What a receipt says: an in-toto Statement whose predicate tells of one run.

use chrono::DateTime;
use serde::{Deserialize, Serialize};

/// The type of the statement, by in-toto's attestation framework, version 1.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// The type of the predicate; it changes when a field is renamed or removed.
pub const PREDICATE_TYPE: &str = "urn:codex-brief:receipt:v1";

/// Bounds the steps that a receipt may list; a brief has at most 50.
const MOST_STEPS: usize = 200;

/// Bounds each text of a receipt, in bytes.
const MAX_TEXT: usize = 4_096;

/// An in-toto Statement about the commit that a run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Is [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// Holds the commit, exactly one.
    pub subject: [Subject; 1],
    /// Is [`PREDICATE_TYPE`].
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// Tells how the commit came to be.
    pub predicate: Predicate,
}

/// A commit in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Holds the repository's address.
    pub name: String,
    /// Holds commit and tree.
    pub digest: CommitDigest,
}

/// A commit and its tree, by in-toto's names for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CommitDigest {
    /// Names the commit: 40 lower-case hex digits.
    pub git_commit: String,
    /// Names its tree: 40 lower-case hex digits.
    pub git_tree: String,
}

/// How the commit came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Predicate {
    /// Tells what was asked for.
    pub brief: BriefFacts,
    /// Tells where.
    pub repository: RepositoryFacts,
    /// Tells what the work began from.
    pub base: Base,
    /// Names the branch that the commit was pushed to.
    pub branch: String,
    /// Tells of the attempt that made it.
    pub run: RunFacts,
    /// Lists the steps in their order, those that never started too.
    pub steps: Vec<StepFacts>,
    /// Names what the run was held to.
    pub policy: Sha256Digest,
    /// Tells who approved the brief; `None` where nobody had to.
    pub approval: Option<ApprovalFacts>,
    /// Names the account whose delivery brought the brief.
    pub requested_by: Account,
    /// Names the account that wrote it.
    pub author: Account,
    /// Names the program that made the receipt.
    pub server: ServerFacts,
    /// Tells when the receipt was made: RFC 3339, UTC.
    pub issued_at: String,
}

/// The brief that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BriefFacts {
    /// Names the brief: 64 lower-case hex digits.
    pub id: String,
    /// Holds the SHA-256 of the block's text, each line of which ends in LF.
    pub sha256: String,
    /// Counts the briefs before it in the same text.
    pub block: u32,
    /// Holds the address of the issue or comment that it stood in.
    pub url: String,
}

/// The repository that the brief worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryFacts {
    /// Holds its id on GitHub, which a new name does not change.
    pub id: u64,
    /// Holds its owner and name at the time.
    pub name: String,
}

/// What the work began from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Base {
    /// Names the branch.
    pub branch: String,
    /// Names the commit: 40 lower-case hex digits. It is the only parent of the made one, but for `onto`.
    pub git_commit: String,
    /// Names the commit that the pushed branch was at before, where the made one goes on from it: its first
    /// parent then, and the base its second where the branch lacked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<String>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunFacts {
    /// Names the run (UUID v7).
    pub id: String,
    /// Counts the runs of the task up to this one, from 1.
    pub epoch: u64,
    /// Names the lane.
    pub lane: String,
    /// Tells when the brief was queued, or approved: RFC 3339, UTC, like all times.
    pub queued_at: String,
    /// Tells when the run began.
    pub started_at: String,
    /// Tells when its work had ended.
    pub ended_at: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StepFacts {
    /// Names it as the brief does.
    pub name: String,
    /// Tells how it ended, such as `succeeded` or `skipped`.
    pub status: String,
    /// Holds the exit code; `None` when a signal or a limit ended it, or when it never started.
    pub exit_code: Option<i32>,
    /// Holds the signal that ended it.
    pub signal: Option<i32>,
    /// Names its stored log, as it is after masking; `None` when it never started.
    pub log: Option<Sha256Digest>,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sha256Digest {
    /// Holds 64 lower-case hex digits.
    pub sha256: String,
}

/// Who approved a brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFacts {
    /// Holds the digest that was approved: 32 lower-case hex digits.
    pub digest: String,
    /// Names who approved it.
    pub by: Account,
    /// Tells when: RFC 3339, UTC.
    pub at: String,
}

/// An account on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Holds its name at the time.
    pub login: String,
    /// Holds its id, which a new name does not change.
    pub id: u64,
}

/// The program that made a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFacts {
    /// Names the program.
    pub name: String,
    /// Holds its version.
    pub version: String,
}

impl Statement {
    /// Makes the statement about a commit of the repository at this address.
    pub fn about(address: String, commit: CommitDigest, predicate: Predicate) -> Self {
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: [Subject { name: address, digest: commit }],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate,
        }
    }

    /// Reads a statement and holds every field to its shape; fails with what is wrong, for people.
    pub fn read(json: &[u8]) -> Result<Self, String> {
        let statement: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        statement.check()?;
        Ok(statement)
    }

    /// Returns the commit that the receipt is for.
    pub fn commit(&self) -> &CommitDigest {
        &self.subject[0].digest
    }

    fn check(&self) -> Result<(), String> {
        let Predicate { brief, repository, base, run, steps, policy, approval, .. } = &self.predicate;
        is(&self.kind, STATEMENT_TYPE, "_type")?;
        is(&self.predicate_type, PREDICATE_TYPE, "predicateType")?;
        let [Subject { name, digest }] = &self.subject;
        hex_of(40, &digest.git_commit, "subject.digest.gitCommit")?;
        hex_of(40, &digest.git_tree, "subject.digest.gitTree")?;
        hex_of(40, &base.git_commit, "base.gitCommit")?;
        base.onto.as_deref().map_or(Ok(()), |onto| hex_of(40, onto, "base.onto"))?;
        hex_of(64, &brief.id, "brief.id")?;
        hex_of(64, &brief.sha256, "brief.sha256")?;
        hex_of(64, &policy.sha256, "policy.sha256")?;
        for time in [&run.queued_at, &run.started_at, &run.ended_at, &self.predicate.issued_at] {
            time_of(time)?;
        }
        if let Some(approval) = approval {
            hex_of(32, &approval.digest, "approval.digest")?;
            time_of(&approval.at)?;
        }
        if steps.len() > MOST_STEPS {
            return Err(format!("it lists more than {MOST_STEPS} steps"));
        }
        for log in steps.iter().filter_map(|step| step.log.as_ref()) {
            hex_of(64, &log.sha256, "steps.log.sha256")?;
        }
        let of_steps = steps.iter().flat_map(|step| [&step.name, &step.status]);
        let people = [&self.predicate.requested_by, &self.predicate.author];
        let people = people.into_iter().chain(approval.as_ref().map(|approval| &approval.by));
        let server = &self.predicate.server;
        let more = [name, &brief.url, &repository.name, &base.branch, &self.predicate.branch];
        let texts = more.into_iter().chain([&run.id, &run.lane, &server.name, &server.version]);
        let mut texts = texts.chain(people.map(|account| &account.login)).chain(of_steps);
        match texts.any(|text| text.len() > MAX_TEXT) {
            true => Err(format!("one of its texts has more than {MAX_TEXT} bytes")),
            false => Ok(()),
        }
    }
}

fn is(found: &str, wanted: &str, field: &str) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("its `{field}` is not `{wanted}`")) }
}

fn hex_of(digits: usize, text: &str, field: &str) -> Result<(), String> {
    let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hex && text.len() == digits {
        Ok(())
    } else {
        Err(format!("its `{field}` is not {digits} lower-case hex digits"))
    }
}

fn time_of(text: &str) -> Result<(), String> {
    let read = text.len() <= 40 && text.ends_with('Z') && DateTime::parse_from_rfc3339(text).is_ok();
    if read { Ok(()) } else { Err("one of its times is not of RFC 3339 in UTC".to_owned()) }
}

/// Writes a time in milliseconds since 1970 as a receipt has it: RFC 3339, UTC, to the millisecond.
pub fn time_text(ms: i64) -> String {
    let time = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
