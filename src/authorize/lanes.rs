//! Which lane takes a brief (row P5).

use super::steps;
use crate::brief::{Brief, RepoName};
use crate::config::LaneConfig;
use crate::error::UserError;

/// Decides whether the lane that a brief names takes it, in the repository of its thread.
///
/// Fails with `other-repository`, `lane-unknown`, `lane-disabled` or `lane-not-for-repository`, the
/// last three of which name the lanes that would take it, or as [`steps::decide`] does.
pub fn decide<'a>(
    brief: &Brief,
    thread_repository: &RepoName,
    lanes: &'a [LaneConfig],
) -> Result<&'a LaneConfig, UserError> {
    if !same_repository(&brief.repo, thread_repository) {
        return Err(UserError::new(
            "other-repository",
            format!(
                "The brief names the repository `{}`, but this thread belongs to `{thread_repository}`.",
                brief.repo
            ),
            format!("Write `repo: {thread_repository}`, or post the brief in a thread of that repository."),
        ));
    }
    let lane = choose(&brief.executor, thread_repository, lanes)?;
    steps::decide(brief, lane)?;
    Ok(lane)
}

/// Finds a lane by its name, if it takes briefs for a repository.
///
/// Fails with `lane-unknown`, `lane-disabled` or `lane-not-for-repository`.
pub fn choose<'a>(
    executor: &str,
    thread_repository: &RepoName,
    lanes: &'a [LaneConfig],
) -> Result<&'a LaneConfig, UserError> {
    let usable: Vec<&str> = lanes
        .iter()
        .filter(|lane| lane.enabled && serves(lane, thread_repository))
        .map(|lane| lane.name.as_str())
        .collect();
    let refuse = |code, what: &str| {
        let help = if usable.is_empty() {
            "No lane of this server serves this repository; ask its operator.".to_owned()
        } else {
            let names: Vec<String> = usable.iter().map(|name| format!("`{name}`")).collect();
            format!("Lanes that take briefs for this repository: {}.", names.join(", "))
        };
        UserError::new(code, format!("The lane `{executor}` {what}."), help)
    };
    let lane = lanes
        .iter()
        .find(|lane| lane.name == executor)
        .ok_or_else(|| refuse("lane-unknown", "does not exist on this server"))?;
    if !lane.enabled {
        return Err(refuse("lane-disabled", "is switched off"));
    }
    if !serves(lane, thread_repository) {
        return Err(refuse("lane-not-for-repository", "does not serve this repository"));
    }
    Ok(lane)
}

fn same_repository(a: &RepoName, b: &RepoName) -> bool {
    a.owner.eq_ignore_ascii_case(&b.owner) && a.name.eq_ignore_ascii_case(&b.name)
}

fn serves(lane: &LaneConfig, repository: &RepoName) -> bool {
    lane.repositories.is_empty() || any_covers(&lane.repositories, repository)
}

/// Tells whether one of the patterns, `owner/name` or `owner/*`, covers a repository.
pub fn any_covers(patterns: &[String], repository: &RepoName) -> bool {
    patterns.iter().any(|pattern| match pattern.split_once('/') {
        Some((owner, "*")) => owner.eq_ignore_ascii_case(&repository.owner),
        Some((owner, name)) => {
            same_repository(&RepoName { owner: owner.to_owned(), name: name.to_owned() }, repository)
        }
        None => false,
    })
}
