//! The policy of a lane in a repository, and what it decides about a brief.
//!
//! `[authorize]` and the lane come first; each `[[policy]]` section that covers the brief narrows what they
//! leave, and then the repository's own file narrows that. Nothing here widens.

mod facts;
mod narrow;

use serde::Serialize;

pub use facts::{Account, Facts, Visibility};

use self::narrow::{Said, ago};
use super::permission::Permission;
use crate::brief::RepoName;
use crate::config::{
    Approval, AuthorizeConfig, Budget, CommitWay, Gate, LaneConfig, Limits, MinimumPermission, Network,
    PolicySection, RepositoryFile, Team, TextSource,
};
use crate::error::UserError;

/// What is written about briefs.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Holds the server's `[authorize]`.
    pub authorize: &'a AuthorizeConfig,
    /// Holds the server's `[[policy]]` sections.
    pub policies: &'a [PolicySection],
    /// Holds the lane; without one, what holds for every lane is meant.
    pub lane: Option<&'a LaneConfig>,
    /// Names the repository.
    pub repository: &'a RepoName,
    /// Holds the repository's own file, if it has one, or why it cannot be used.
    pub file: Option<&'a Result<RepositoryFile, UserError>>,
}

/// What holds for a lane in a repository.
#[derive(Debug, Clone)]
pub struct Policy {
    repository: String,
    lane: Option<String>,
    public: Said<bool>,
    broken: Option<UserError>,
    minimum: Said<MinimumPermission>,
    people: Vec<Said<(Vec<u64>, Vec<Team>)>>,
    lanes: Option<Said<Vec<String>>>,
    sources: Vec<Said<Vec<TextSource>>>,
    forks: Said<bool>,
    bots: Vec<Said<Vec<String>>>,
    bounds: Bounds,
    /// Tells where the repository's file asks for more than the server gives, which does not count.
    pub widened: Vec<String>,
    /// Is the SHA-256 of everything that was written, in hex.
    pub version: String,
}

/// What a run of an allowed brief is held to.
#[derive(Debug, Clone, Serialize)]
pub struct Bounds {
    /// Tells which label its thread needs.
    #[serde(skip_serializing_if = "is_none")]
    pub gate: Gate,
    /// Names the rule that asks for the label.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gate_rule: String,
    /// Tells whose approval it needs.
    pub approval: Approval,
    /// Names the rule that asks for the approval.
    pub approval_rule: String,
    /// Tells what its steps reach.
    pub network: Network,
    /// Names the rule that set the network.
    pub network_rule: String,
    /// Tells how its commit comes to GitHub.
    pub commit: CommitWay,
    /// Names the rule that says so.
    pub commit_rule: String,
    /// Bounds its steps.
    pub limits: Limits,
    /// Lists files that it may not change, beside those that nobody may.
    pub protected_paths: Vec<String>,
    /// Bounds how much is run.
    pub budget: Budget,
}

fn is_none(gate: &Gate) -> bool {
    *gate == Gate::None
}

/// What a policy decides about a brief.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Tells that it may run, or why not.
    pub verdict: Result<(), UserError>,
    /// Names the rule that decided: where it is written, or what holds where nothing is.
    pub rule: String,
    /// Holds what its run is held to.
    pub bounds: Bounds,
    /// Is the SHA-256 of everything that went into the decision and is written, in hex.
    pub policy_version: String,
}

/// Why a brief may not run, and the rule that says so.
type Refusal = (UserError, String);

impl Policy {
    /// Returns what is written as what holds.
    pub fn of(written: Written<'_>) -> Self {
        narrow::policy(written)
    }

    /// Decides about a brief of a text: people, place and lane.
    pub fn decide(&self, facts: &Facts) -> Decision {
        let refused = self.place(facts).and_then(|()| self.people(facts));
        let (verdict, rule) = match refused {
            Ok(rule) => (Ok(()), rule),
            Err((error, rule)) => (Err(error), rule),
        };
        Decision { verdict, rule, bounds: self.bounds.clone(), policy_version: self.version.clone() }
    }

    /// Tells whether briefs may run in the repository at all, from where the text stands, and on the lane.
    ///
    /// Fails with what is told, and the rule.
    pub fn place(&self, facts: &Facts) -> Result<(), Refusal> {
        let name = &self.repository;
        if facts.visibility == Visibility::Public && !self.public.value {
            let error = UserError::new(
                "repository-public",
                format!(
                    "`{name}` is public, and briefs run in public repositories only where the server's operator names them."
                ),
                "Make the repository private, or ask the operator to add it to `public_repositories` of [authorize].",
            );
            return Err((error, self.public.rule.clone()));
        }
        if let Some(error) = &self.broken {
            return Err((error.clone(), RepositoryFile::PATH.to_owned()));
        }
        if let Some(Said { rule, .. }) = self.sources.iter().find(|said| !said.value.contains(&facts.source))
        {
            let allowed: Vec<String> = TextSource::ALL
                .into_iter()
                .filter(|source| self.sources.iter().all(|said| said.value.contains(source)))
                .map(|source| format!("`{}`", source.as_str()))
                .collect();
            let help = match allowed.is_empty() {
                true => "No source is allowed here; ask whoever keeps the policy.".to_owned(),
                false => format!("Post it where the policy allows it: {}.", allowed.join(", ")),
            };
            let what = format!("A brief in `{}` does not run here.", facts.source.as_str());
            return Err((UserError::new("source-not-allowed", what, help), rule.clone()));
        }
        if facts.from_fork && !self.forks.value {
            let error = UserError::new(
                "fork-not-allowed",
                "This pull request comes from a fork, and briefs at pull requests from forks do not run here.",
                "Post the brief in an issue, or ask the operator to set `forks = true` in a [[policy]].",
            );
            return Err((error, self.forks.rule.clone()));
        }
        match (&self.lanes, &self.lane) {
            (Some(lanes), Some(lane)) if !lanes.value.contains(lane) => {
                let named: Vec<String> = lanes.value.iter().map(|lane| format!("`{lane}`")).collect();
                let help = match named.is_empty() {
                    true => "It names no lane.".to_owned(),
                    false => format!("The lanes that it names: {}.", named.join(", ")),
                };
                let what = format!("The repository's own policy keeps the lane `{lane}` out.");
                Err((UserError::new("lane-kept-out", what, help), lanes.rule.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Tells whether everybody behind a text may; returns the rule that was the narrowest.
    ///
    /// Fails with what is told, and the rule.
    pub fn people(&self, facts: &Facts) -> Result<String, Refusal> {
        for account in &facts.accounts {
            match account {
                Account::Bot { login, id, own } => self.bot(facts, login, *id, *own)?,
                Account::Person { login, id, permission, teams } => {
                    self.person(login, *id, *permission, teams)?;
                }
            }
        }
        let named = self.people.last().map(|said| &said.rule);
        Ok(named.unwrap_or(&self.minimum.rule).clone())
    }

    fn person(&self, login: &str, id: u64, found: Permission, teams: &[Team]) -> Result<(), Refusal> {
        let needed = Permission::from(self.minimum.value);
        if found < needed {
            let error = UserError::new(
                "permission-missing",
                format!(
                    "`{login}` may not run briefs here: that needs the permission `{needed}`, and `{login}` has `{found}`."
                ),
                "Somebody with the permission can post the brief in a comment of their own.",
            );
            return Err((error, self.minimum.rule.clone()));
        }
        let may = |(users, named): &(Vec<u64>, Vec<Team>)| {
            users.contains(&id) || named.iter().any(|team| teams.contains(team))
        };
        match self.people.iter().find(|said| !may(&said.value)) {
            None => Ok(()),
            Some(said) => Err((
                UserError::new(
                    "user-not-named",
                    format!(
                        "`{login}` may not run this here: the policy names who may, and `{login}` is not among them."
                    ),
                    "Ask somebody who is named to post the brief, or whoever keeps the policy to add the account.",
                ),
                said.rule.clone(),
            )),
        }
    }

    /// Decides about a bot, which has no permission that GitHub tells: only its name and id together count.
    fn bot(&self, facts: &Facts, login: &str, id: u64, own: bool) -> Result<(), Refusal> {
        let is_it = |name: &&String| {
            name.eq_ignore_ascii_case(login)
                && facts.bots.iter().any(|(known, known_id)| known == *name && *known_id == id)
        };
        let kept_out = self.bots.iter().find(|said| !said.value.iter().any(|name| is_it(&name)));
        let rule = match (own, kept_out) {
            (true, _) => "what the App itself writes never runs".to_owned(),
            (false, Some(said)) => said.rule.clone(),
            (false, None) if self.bots.is_empty() => {
                "bots may not, unless a [[policy]] names them".to_owned()
            }
            (false, None) => return Ok(()),
        };
        let error = UserError::new(
            "bot-not-named",
            format!("`{login}` is a bot that may not run briefs here."),
            "The operator can name it by `bots` in a [[policy]].",
        );
        Err((error, rule))
    }

    /// Lists the teams that must be looked up to decide about a person.
    pub fn teams(&self) -> Vec<Team> {
        let mut teams: Vec<Team> = self.people.iter().flat_map(|said| said.value.1.clone()).collect();
        teams.sort();
        teams.dedup();
        teams
    }

    /// Lists the names of bots that must be looked up to decide about a bot.
    pub fn bots(&self) -> Vec<String> {
        let mut names: Vec<String> = self.bots.iter().flat_map(|said| said.value.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Makes the refusal of a brief whose user or repository has run enough for a day.
///
/// `spent` counts what was run, `whose` names of whom, and it is free again in `free_in_ms`.
pub fn budget_spent(whose: &str, most: u32, free_in_ms: i64) -> UserError {
    let briefs = if most == 1 { "brief".to_owned() } else { "briefs".to_owned() };
    UserError::new(
        "budget-spent",
        format!("{whose} may run {most} {briefs} within 24 hours, and has run as many."),
        match most {
            0 => "The policy allows none; ask whoever keeps it.".to_owned(),
            _ => format!("Post it again in {}, when the oldest of them no longer counts.", ago(free_in_ms)),
        },
    )
}

#[cfg(test)]
mod tests;
