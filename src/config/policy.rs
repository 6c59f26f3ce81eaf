//! The `[[policy]]` sections, and the repository's own file, which is made of the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Approval, CommitWay, Limits, MinimumPermission, Network, invalid};
use crate::error::UserError;

/// Bounds how many teams the repository's file may name: each is looked up at GitHub.
const MOST_TEAMS: usize = 20;

/// Rules for the briefs of some lanes in some repositories. Every section that covers a brief holds, so a
/// section takes away from what others leave, and what it does not say stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicySection {
    /// Names the lanes that it covers; empty means all.
    pub lanes: Vec<String>,
    /// Names the repositories that it covers, as `owner/name` or `owner/*`; empty means all.
    pub repositories: Vec<String>,
    /// Holds the least permission on the repository.
    pub minimum_permission: Option<MinimumPermission>,
    /// Lists ids of the people who may; with `teams`, whoever is in either may.
    pub users: Option<Vec<u64>>,
    /// Lists the teams whose members may.
    pub teams: Option<Vec<Team>>,
    /// Lists where a brief may stand.
    pub sources: Option<Vec<TextSource>>,
    /// Tells whether a brief may stand at a pull request from a fork; nobody's word means no.
    pub forks: Option<bool>,
    /// Lists names of the bots that may, such as `renovate[bot]`; nobody's word means none.
    pub bots: Option<Vec<String>>,
    /// Tells which label a thread needs before its briefs run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Tells whether somebody must approve.
    pub approval: Option<Approval>,
    /// Tells what the steps can reach, at most what the lane can.
    pub network: Option<Network>,
    /// Lists files that no brief may change, as patterns of `.gitignore`.
    pub protected_paths: Vec<String>,
    /// Tells how commits come to GitHub.
    pub commit: Option<CommitWay>,
    /// Bounds a step further than the lane does.
    pub limits: PolicyLimits,
    /// Bounds how much is run.
    pub budget: Budget,
}

/// Which label a thread needs before its briefs run, from none to the strictest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// None.
    #[default]
    None,
    /// `codex:enabled`, or `codex:auto`.
    Enabled,
    /// `codex:auto`; with `codex:enabled` alone each brief waits for `/work start`.
    Auto,
}

/// Bounds of a step or run; none of them raises a lane's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyLimits {
    /// Bounds a step's wall time, in seconds.
    pub wall_seconds: Option<u64>,
    /// Bounds the time in which a step prints nothing, in seconds.
    pub idle_seconds: Option<u64>,
    /// Bounds the processes and threads that exist at a time.
    pub processes: Option<u64>,
    /// Bounds the files that one process has open.
    pub open_files: Option<u64>,
    /// Bounds the size of one file that a step writes, in bytes.
    pub file_bytes: Option<u64>,
    /// Bounds how many files a run may change.
    pub changed_files: Option<usize>,
    /// Bounds the bytes of all files that a run changes.
    pub changed_bytes: Option<u64>,
}

impl PolicyLimits {
    /// Lowers limits to these, and names those that would have raised them.
    pub fn narrow(&self, limits: &mut Limits) -> Vec<&'static str> {
        let mut wider = Vec::new();
        let mut lower = |key, said: Option<u64>, kept: &mut u64| match said {
            Some(said) if said > *kept => wider.push(key),
            Some(said) => *kept = said,
            None => {}
        };
        lower("wall_seconds", self.wall_seconds, &mut limits.wall_seconds);
        lower("idle_seconds", self.idle_seconds, &mut limits.idle_seconds);
        lower("processes", self.processes, &mut limits.processes);
        lower("open_files", self.open_files, &mut limits.open_files);
        lower("file_bytes", self.file_bytes, &mut limits.file_bytes);
        lower("changed_bytes", self.changed_bytes, &mut limits.changed_bytes);
        match self.changed_files {
            Some(said) if said > limits.changed_files => wider.push("changed_files"),
            Some(said) => limits.changed_files = said,
            None => {}
        }
        wider
    }

    fn has_zero(&self) -> bool {
        let times = [self.wall_seconds, self.idle_seconds, self.processes, self.open_files];
        times.contains(&Some(0))
    }
}

/// How much may be run. A user's runs count in all repositories of the server, a repository's those of
/// everybody; a brief counts once, however often it is tried again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Bounds the briefs that one user has run within 24 hours.
    pub user_per_day: Option<u32>,
    /// Bounds the briefs that are run in one repository within 24 hours.
    pub repository_per_day: Option<u32>,
    /// Bounds the runs that one user has at a time.
    pub user_at_a_time: Option<u32>,
    /// Bounds the runs that one repository has at a time.
    pub repository_at_a_time: Option<u32>,
}

impl Budget {
    /// Lowers a budget to this one, and names what would have raised it.
    pub fn narrow(&self, budget: &mut Self) -> Vec<&'static str> {
        let mut wider = Vec::new();
        let mut lower = |key, said: Option<u32>, kept: &mut Option<u32>| match (said, *kept) {
            (Some(said), Some(had)) if said > had => wider.push(key),
            (Some(said), _) => *kept = Some(said),
            (None, _) => {}
        };
        lower("user_per_day", self.user_per_day, &mut budget.user_per_day);
        lower("repository_per_day", self.repository_per_day, &mut budget.repository_per_day);
        lower("user_at_a_time", self.user_at_a_time, &mut budget.user_at_a_time);
        lower("repository_at_a_time", self.repository_at_a_time, &mut budget.repository_at_a_time);
        wider
    }
}

/// Where a brief may stand, as a policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSource {
    /// The body of an issue.
    Issue,
    /// A comment on an issue.
    IssueComment,
    /// The body of a pull request.
    PullRequest,
    /// A comment in a pull request's conversation.
    PullRequestComment,
    /// The body of a review.
    Review,
    /// A comment on a line of a pull request's diff.
    ReviewComment,
}

impl TextSource {
    /// Lists every source.
    pub const ALL: [Self; 6] = [
        Self::Issue,
        Self::IssueComment,
        Self::PullRequest,
        Self::PullRequestComment,
        Self::Review,
        Self::ReviewComment,
    ];

    /// Returns the word that a policy has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::IssueComment => "issue_comment",
            Self::PullRequest => "pull_request",
            Self::PullRequestComment => "pull_request_comment",
            Self::Review => "review",
            Self::ReviewComment => "review_comment",
        }
    }
}

/// A team of an organisation: `octo/release`, or `octo/release:42` where only the team with that id is meant,
/// whoever makes another of its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Team {
    /// Names the organisation.
    pub organization: String,
    /// Holds the name in the team's address.
    pub slug: String,
    /// Holds the id, where it was named.
    pub id: Option<u64>,
}

impl fmt::Display for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.organization, self.slug)?;
        self.id.map_or(Ok(()), |id| write!(f, ":{id}"))
    }
}

impl TryFrom<String> for Team {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no team of the form organization/slug or organization/slug:id");
        let (organization, rest) = text.split_once('/').ok_or_else(wrong)?;
        let (slug, id) = match rest.split_once(':') {
            Some((slug, id)) => (slug, Some(id.parse().map_err(|_| wrong())?)),
            None => (rest, None),
        };
        let fits = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !fits(organization) || !fits(slug) {
            return Err(wrong());
        }
        Ok(Self { organization: organization.to_owned(), slug: slug.to_owned(), id })
    }
}

impl From<Team> for String {
    fn from(team: Team) -> Self {
        team.to_string()
    }
}

impl PolicySection {
    /// Checks what its types do not; `name` is what the message calls it.
    pub(super) fn check(&self, name: &str) -> Result<(), UserError> {
        for pattern in &self.repositories {
            check_pattern(pattern, &format!("{name}.repositories"))?;
        }
        if let Some(bot) = self.bots.iter().flatten().find(|bot| !bot.ends_with("[bot]")) {
            return Err(invalid(format!(
                "{name}.bots: `{bot}` is no bot's name, such as \"renovate[bot]\"."
            )));
        }
        let at_a_time = [self.budget.user_at_a_time, self.budget.repository_at_a_time];
        if at_a_time.contains(&Some(0)) || self.limits.has_zero() {
            return Err(invalid(format!(
                "{name}: with 0 of a time, a process or a run at a time nothing could ever end; switch the lane off instead."
            )));
        }
        for glob in &self.protected_paths {
            let mut builder = ignore::gitignore::GitignoreBuilder::new("");
            if glob.trim().is_empty() || glob.starts_with(['!', '#']) || builder.add_line(None, glob).is_err()
            {
                return Err(invalid(format!("{name}.protected_paths: `{glob}` is no pattern of paths.")));
            }
        }
        Ok(())
    }
}

/// Checks a pattern of repositories.
pub(super) fn check_pattern(pattern: &str, key: &str) -> Result<(), UserError> {
    let fits = |part: &str| !part.is_empty() && !part.contains(['/', '*']);
    match pattern.split_once('/') {
        Some((owner, name)) if fits(owner) && (name == "*" || fits(name)) => Ok(()),
        _ => Err(invalid(format!("{key}: `{pattern}` is neither \"owner/name\" nor \"owner/*\"."))),
    }
}

/// A repository's own rules: `.github/codex-brief.toml` of its default branch.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepositoryFile {
    /// Names the lanes that may run briefs here; without it, those that serve the repository.
    pub lanes: Option<Vec<String>>,
    /// Holds the rules.
    #[serde(rename = "policy")]
    pub policies: Vec<PolicySection>,
}

impl RepositoryFile {
    /// Is the path at which a repository has it.
    pub const PATH: &str = ".github/codex-brief.toml";

    /// Bounds its size, in bytes.
    pub const MOST_BYTES: usize = 16 << 10;

    /// Reads and checks such a file.
    ///
    /// Fails with `policy-file-invalid`, which tells the line.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        if text.len() > Self::MOST_BYTES {
            return Err(Self::broken(&format!("it has more than {} bytes", Self::MOST_BYTES)));
        }
        let file: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Self::broken(&format!("line {line}: {}", error.message().trim_end_matches('.')))
        })?;
        for (nth, section) in (1..).zip(&file.policies) {
            let name = format!("policy[{nth}]");
            if !section.repositories.is_empty() {
                return Err(Self::broken(&format!(
                    "{name}.repositories: the file holds for its own repository alone"
                )));
            }
            section.check(&name).map_err(|error| Self::broken(error.message.trim_end_matches('.')))?;
        }
        if file.policies.iter().flat_map(|section| section.teams.iter().flatten()).count() > MOST_TEAMS {
            return Err(Self::broken(&format!("it names more than {MOST_TEAMS} teams")));
        }
        Ok(file)
    }

    /// Makes the error for a file that cannot be used.
    pub fn broken(why: &str) -> UserError {
        UserError::new(
            "policy-file-invalid",
            format!(
                "`{}` on the default branch cannot be used, so nothing runs in this repository: {why}.",
                Self::PATH
            ),
            "Mend the file on the default branch, then post the brief again; docs/policy.md explains every key.",
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> String {
        let error = RepositoryFile::parse(text).unwrap_err();
        assert_eq!(error.code, "policy-file-invalid");
        error.message
    }

    #[test]
    fn a_files_mistakes_are_told_with_their_line() {
        assert!(refused("\n\nlanes = [\n").contains("line 3: "));
        assert!(refused("\n[[policy]]\nnetwrk = \"none\"\n").contains("line 3: unknown field `netwrk`"));
        assert!(refused("[[policy]]\nrepositories = [\"octo/x\"]\n").contains("its own repository alone"));
        assert!(refused("[[policy]]\nbots = [\"renovate\"]\n").contains("no bot's name"));
        assert!(refused("[[policy]]\nprotected_paths = [\"!keep\"]\n").contains("no pattern"));
        assert!(refused("[[policy]]\nbudget = { user_at_a_time = 0 }\n").contains("nothing could ever end"));
        assert!(refused("[[policy]]\nteams = [\"release\"]\n").contains("no team"));
        assert!(refused(&"#".repeat(RepositoryFile::MOST_BYTES + 1)).contains("more than 16384 bytes"));
        let teams: Vec<String> = (0..21).map(|n| format!("\"o/t{n}\"")).collect();
        assert!(refused(&format!("[[policy]]\nteams = [{}]\n", teams.join(","))).contains("20 teams"));
    }

    #[test]
    fn a_team_is_read_with_and_without_its_id() {
        let team = |text: &str| Team::try_from(text.to_owned());
        assert_eq!(team("octo/release:42").unwrap().id, Some(42));
        assert_eq!(team("octo/release").unwrap().to_string(), "octo/release");
        for wrong in ["octo", "octo/", "/x", "octo/a/b", "octo/a:b", "octo/a:", "o?/x"] {
            assert!(team(wrong).is_err(), "{wrong}");
        }
    }

    fn maybe() -> impl Strategy<Value = Option<u32>> {
        prop::option::of(0..20_u32)
    }

    proptest! {
        #[test]
        fn narrowing_never_raises_and_tells_each_attempt(said in [maybe(), maybe()], kept in [maybe(), maybe()]) {
            let budget = |[a, b]: [Option<u32>; 2]| Budget { user_per_day: a, user_at_a_time: b, ..Budget::default() };
            let (said, before) = (budget(said), budget(kept));
            let mut after = before;
            let wider = said.narrow(&mut after);
            for (key, said, before, after) in [
                ("user_per_day", said.user_per_day, before.user_per_day, after.user_per_day),
                ("user_at_a_time", said.user_at_a_time, before.user_at_a_time, after.user_at_a_time),
            ] {
                let most = |bound: Option<u32>| bound.unwrap_or(u32::MAX);
                prop_assert_eq!(most(after), most(said).min(most(before)));
                prop_assert_eq!(wider.contains(&key), said.is_some() && before.is_some() && said > before);
            }
        }
    }

    #[test]
    fn limits_are_lowered_and_never_raised() {
        let mut limits = Limits::default();
        let said =
            PolicyLimits { wall_seconds: Some(60), changed_files: Some(5000), ..PolicyLimits::default() };
        assert_eq!(said.narrow(&mut limits), ["changed_files"]);
        assert_eq!((limits.wall_seconds, limits.changed_files), (60, 1000));
    }
}
