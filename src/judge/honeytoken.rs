//! What a seen honeytoken means: the run fails, and nothing that it made counts.

use crate::run::changeset::Changeset;
use crate::run::redact::{Redactor, Watch};
use crate::run::report::{Problem, RunReport};
use crate::store::blobs::{BlobError, Blobs};

/// Bounds the files that a message names; the rest is counted.
const NAMED: usize = 5;

/// Looks for honeytokens in everything that a run changed, declared or not, contents and names; returns
/// where they are, for people and without the tokens.
///
/// # Errors
/// Fails when a stored content cannot be read.
pub fn in_changes(
    changeset: &Changeset,
    blobs: &Blobs,
    redactor: &Redactor,
) -> Result<Vec<String>, BlobError> {
    let watch = redactor.watch();
    let mut files = Vec::new();
    for change in &changeset.entries {
        let Some(blob) = &change.blob else { continue };
        let mut stream = watch.stream();
        blobs.copy_to(blob, &mut stream)?;
        if stream.saw(b"") {
            let shown = redactor.redact(change.path.as_bytes());
            files.push(format!("the changed file \"{}\"", String::from_utf8_lossy(&shown)));
        }
    }
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    if more > 0 {
        files.push(format!("{more} more changed files"));
    }
    let changed = changeset.entries.iter().map(|change| &change.path);
    let refused = changeset.refused.iter().map(|refusal| &refusal.path);
    // Each is looked at, so that the watch knows.
    if changed.chain(refused).filter(|path| watch.saw(path.as_bytes())).count() > 0 {
        files.push("the name of a changed file".to_owned());
    }
    Ok(files)
}

/// Tells where a watch saw a honeytoken while steps ran, of which `step` was the last, if it did.
pub fn while_running(watch: &Watch, step: &str) -> Option<String> {
    match (watch.is_seen(), watch.is_printed()) {
        (false, _) => None,
        (true, true) => Some(format!("the output of {step}")),
        (true, false) => Some(format!("the network traffic of {step}")),
    }
}

/// Makes the problem of a run whose honeytoken was seen in these places.
pub fn problem(places: &[String]) -> Problem {
    Problem {
        code: "honeytoken-seen".to_owned(),
        message: format!(
            "A made-up credential, which the server puts into each run's home so that only a thief passes it on, \
             was seen in {}. The run was ended, and none of its changes is published, now or later.",
            places.join(" and ")
        ),
        help: "Do not post the brief again before a maintainer has found which command read `~/.config/gh/hosts.yml`, \
               `~/.git-credentials` or `~/.aws/credentials`: look at the steps, at what they download or \
               install, and at who wrote the brief. What the lane does give its steps, such as its `secrets`, \
               may be known to others by now: change it."
            .to_owned(),
    }
}

/// Tells whether a report is that of a run whose honeytoken was seen.
pub fn is_seen(report: &RunReport) -> bool {
    report.problem.as_ref().is_some_and(|problem| problem.code == "honeytoken-seen")
}
