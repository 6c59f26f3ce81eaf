//! Who may run what, as GitHub and the policy say now: the live look-up that intake, runs, publishing and
//! `codex-brief policy explain` share.

use super::Server;
use super::attempt::problem;
use super::intake::LookError;
use super::locate::locate;
use crate::authorize::lanes;
use crate::authorize::permission::Permission;
use crate::authorize::policy::{Account, Decision, Facts, Policy, Visibility, Written};
use crate::brief::{RepoName, SourceKind};
use crate::config::{Config, LaneConfig, RepositoryFile, Team, TextSource};
use crate::error::UserError;
use crate::github::installation::Place;
use crate::github::pulls::PullOrigin;
use crate::github::repository::FoundFile;
use crate::github::{GitHub, GitHubError};
use crate::run::protected::ProtectedPaths;
use crate::run::report::Problem;
use crate::store::audit::TargetRepository;
use crate::store::models::{BriefRow, ClaimedTask};
use crate::store::{Ruling, SeenPolicy};

/// An account by name and id.
pub type Who<'a> = (&'a str, u64);

/// A text by its repository's id, its kind and its thread's number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub(super) repository_id: u64,
    pub(super) kind: SourceKind,
    pub(super) thread: u64,
}

/// What GitHub says about a repository, a text in it and the people behind the text.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Holds what is the case.
    pub facts: Facts,
    /// Holds the repository's own file, or why it cannot be used.
    pub file: Option<Result<RepositoryFile, UserError>>,
}

impl Scene {
    /// Returns the policy of a lane, or that of every lane.
    pub fn policy(&self, config: &Config, repository: &RepoName, lane: Option<&LaneConfig>) -> Policy {
        Policy::of(Written {
            authorize: &config.authorize,
            policies: &config.policies,
            lane,
            repository,
            file: self.file.as_ref(),
        })
    }
}

/// Looks up who is behind a text: each account once, without its teams.
pub async fn accounts(
    github: &GitHub,
    place: Place<'_>,
    [first, second]: [Who<'_>; 2],
) -> Result<Vec<Account>, GitHubError> {
    let mut accounts = Vec::new();
    for who in [Some(first), (second.1 != first.1).then_some(second)].into_iter().flatten() {
        accounts.push(account(github, place, who).await?);
    }
    Ok(accounts)
}

async fn account(github: &GitHub, place: Place<'_>, (login, id): Who<'_>) -> Result<Account, GitHubError> {
    // No person's name has a bracket; what counts is what GitHub says of the account.
    if login.contains('[') {
        let known = github.account(place.installation, login).await?;
        if known.is_some_and(|known| known.kind == "Bot" && known.id == id) {
            let own = github.bot(place.installation).await?.id == id;
            return Ok(Account::Bot { login: login.to_owned(), id, own });
        }
    }
    let permission = github.permission(place, login, id).await?;
    Ok(Account::Person { login: login.to_owned(), id, permission, teams: Vec::new() })
}

/// Returns the first person who has not even the permission that the server asks of everybody, and what it is.
pub(super) fn stranger<'a>(config: &Config, accounts: &'a [Account]) -> Option<(&'a str, u64, Permission)> {
    let needed = Permission::from(config.authorize.minimum_permission);
    accounts.iter().find_map(|account| match account {
        Account::Person { login, id, permission, .. } if *permission < needed => {
            Some((login.as_str(), *id, *permission))
        }
        _ => None,
    })
}

/// Returns the least permission of those behind a text; a bot that may have briefs run counts as one who may
/// do just that.
pub(super) fn least(config: &Config, accounts: &[Account]) -> Permission {
    let permissions = accounts.iter().map(|account| match account {
        Account::Person { permission, .. } => *permission,
        Account::Bot { .. } => Permission::from(config.authorize.minimum_permission),
    });
    permissions.min().unwrap_or(Permission::None)
}

/// Looks up everything else that a policy decides by: the repository, its file, the teams. The text stands in
/// `source`, at a pull request from a fork or not.
pub async fn look(
    github: &GitHub,
    config: &Config,
    place: Place<'_>,
    repository_id: u64,
    (source, from_fork): (TextSource, bool),
    accounts: Vec<Account>,
) -> Result<Scene, GitHubError> {
    let visibility = github.visibility(place.installation, repository_id).await?;
    let file = file(github, place).await?;
    let facts = Facts {
        // What cannot be seen any more is as good as public.
        visibility: visibility.unwrap_or(Visibility::Public),
        source,
        from_fork,
        accounts,
        bots: Vec::new(),
    };
    let mut scene = Scene { facts, file };
    fill_in(github, config, place, &mut scene).await?;
    Ok(scene)
}

async fn file(
    github: &GitHub,
    place: Place<'_>,
) -> Result<Option<Result<RepositoryFile, UserError>>, GitHubError> {
    let found = github.file(place, RepositoryFile::PATH, RepositoryFile::MOST_BYTES).await?;
    let most = RepositoryFile::MOST_BYTES;
    Ok(match found {
        FoundFile::Missing => None,
        FoundFile::Unreadable => {
            Some(Err(RepositoryFile::broken(&format!("it is no file of at most {most} bytes"))))
        }
        FoundFile::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => RepositoryFile::parse(&text).and_then(protects),
            Err(_) => Err(RepositoryFile::broken("it is no UTF-8 text")),
        }),
    })
}

/// Looks whether the paths that a repository's file protects can be told from others.
fn protects(file: RepositoryFile) -> Result<RepositoryFile, UserError> {
    let paths: Vec<String> =
        file.policies.iter().flat_map(|section| section.protected_paths.clone()).collect();
    ProtectedPaths::new(&paths, &[]).map(|_| file).map_err(|why| RepositoryFile::broken(&why))
}

/// Tells where a text stands, and whether that is a pull request from elsewhere.
pub(super) async fn source(
    github: &GitHub,
    place: Place<'_>,
    text: Text,
) -> Result<(TextSource, bool), GitHubError> {
    let origin = match text.kind {
        SourceKind::IssueBody => None,
        _ => github.pull_origin(place, text.repository_id, text.thread).await?,
    };
    let source = match text.kind {
        SourceKind::IssueBody => TextSource::Issue,
        SourceKind::IssueComment if origin.is_none() => TextSource::IssueComment,
        SourceKind::IssueComment => TextSource::PullRequestComment,
        SourceKind::PullRequestBody => TextSource::PullRequest,
        SourceKind::Review => TextSource::Review,
        SourceKind::ReviewComment => TextSource::ReviewComment,
    };
    // A pull request that is not found any more could have come from anywhere.
    let is_own =
        origin == Some(PullOrigin::Own) || matches!(source, TextSource::Issue | TextSource::IssueComment);
    Ok((source, !is_own))
}

/// Looks up the teams and bots that any lane's policy names.
async fn fill_in(
    github: &GitHub,
    config: &Config,
    place: Place<'_>,
    scene: &mut Scene,
) -> Result<(), GitHubError> {
    let Some(repository) = repository_name(place.repository) else { return Ok(()) };
    let (mut teams, mut bots) = (Vec::new(), Vec::new());
    for lane in [None].into_iter().chain(config.lanes.iter().map(Some)) {
        let policy = scene.policy(config, &repository, lane);
        teams.extend(policy.teams());
        bots.extend(policy.bots());
    }
    teams.sort();
    teams.dedup();
    bots.sort();
    bots.dedup();
    let mut has_bot = false;
    for account in &mut scene.facts.accounts {
        match account {
            Account::Bot { .. } => has_bot = true,
            Account::Person { login, permission, teams: is_in, .. } if *permission > Permission::None => {
                for team in &teams {
                    if is_member(github, place.installation, team, login).await? {
                        is_in.push(team.clone());
                    }
                }
            }
            Account::Person { .. } => {}
        }
    }
    for name in bots.into_iter().filter(|_| has_bot) {
        if let Some(known) = github.account(place.installation, &name).await?
            && known.kind == "Bot"
        {
            scene.facts.bots.push((name, known.id));
        }
    }
    Ok(())
}

/// Tells whether somebody is in a team; where the App may not know, nobody is.
async fn is_member(
    github: &GitHub,
    installation: u64,
    team: &Team,
    login: &str,
) -> Result<bool, GitHubError> {
    match github.is_member(installation, team, login).await {
        Err(error) if error.status() == Some(403) && !error.is_gone_installation() => {
            tracing::error!(%team, %error, "the App may not read who is in a team; grant it `members: read`");
            Ok(false)
        }
        other => other,
    }
}

/// Tells whether the policy of a lane does not let somebody run briefs on it, in this repository.
pub(super) async fn is_kept_out(
    server: &Server,
    place: Place<'_>,
    repository_id: u64,
    lane: &str,
    who: Who<'_>,
) -> Result<bool, GitHubError> {
    let accounts = accounts(&server.github, place, [who, who]).await?;
    // Where the brief stands is no matter of who somebody is.
    let at = (TextSource::Issue, false);
    let scene = look(&server.github, &server.config, place, repository_id, at, accounts).await?;
    let Some(lane) = server.config.lanes.iter().find(|config| config.name == lane) else { return Ok(true) };
    let Some(repository) = repository_name(place.repository) else { return Ok(true) };
    Ok(scene.policy(&server.config, &repository, Some(lane)).people(&scene.facts).is_err())
}

/// Reads `owner/name`.
pub fn repository_name(full: &str) -> Option<RepoName> {
    let (owner, name) = full.split_once('/')?;
    Some(RepoName { owner: owner.to_owned(), name: name.to_owned() })
}

/// Decides anew about a task whose brief was accepted before: at its run's start, and before it publishes.
///
/// The inner error tells why it may not go on.
pub(super) async fn decide_again(
    server: &Server,
    task: &ClaimedTask,
) -> Result<Result<Decision, Problem>, LookError> {
    decide_on(server, &task.brief, &task.lane, &task.run_id).await
}

/// Decides anew about a stored brief; the log calls it `what`.
pub(super) async fn decide_on(
    server: &Server,
    brief: &BriefRow,
    lane: &str,
    what: &str,
) -> Result<Result<Decision, Problem>, LookError> {
    let location = locate(server, brief).await?;
    let place = location.place();
    let who = [(brief.requested_by.as_str(), brief.requested_by_id), (&brief.author, brief.author_id)];
    let found = accounts(&server.github, place, who).await?;
    if let Some((login, _, found)) = stranger(&server.config, &found) {
        return Ok(Err(problem(
            "permission-missing",
            format!("`{login}` may not run briefs here any more: the permission is `{found}` by now."),
            "Somebody with the permission can post the brief in a comment of their own.",
        )));
    }
    let text = Text {
        repository_id: brief.source.repository_id,
        kind: brief.source.kind,
        thread: brief.thread_number,
    };
    let at = source(&server.github, place, text).await?;
    let scene = look(&server.github, &server.config, place, text.repository_id, at, found).await?;
    let Some(repository) = repository_name(place.repository) else {
        let name = place.repository.to_owned();
        return Err(GitHubError::Unreadable("GET /repositories".to_owned(), name).into());
    };
    // A lane that is gone, or does not serve the repository any more, vouches for nothing.
    let lane = match lanes::choose(lane, &repository, &server.config.lanes) {
        Ok(lane) => lane,
        Err(UserError { code, message, help }) => return Ok(Err(problem(code, message, &help))),
    };
    let decision = scene.policy(&server.config, &repository, Some(lane)).decide(&scene.facts);
    tracing::info!(run = what, rule = decision.rule, policy = decision.policy_version, "decided again");
    let ruling = ruling((text.repository_id, place.repository), lane, &decision);
    server.store.see_policy(&ruling.policy).await?;
    Ok(match &decision.verdict {
        Err(UserError { code, message, help }) => Err(problem(code, message.clone(), help)),
        Ok(()) => Ok(decision),
    })
}

/// Tells what is kept of a decision, and by which policy it was made: that of a lane in a repository, which is
/// given by its id and name.
pub(super) fn ruling((id, name): (u64, &str), lane: &LaneConfig, decision: &Decision) -> Ruling {
    let repository = TargetRepository { id, name: name.to_owned() };
    let version = decision.policy_version.clone();
    Ruling {
        policy: SeenPolicy { repository, lane: lane.name.clone(), version },
        rule: decision.rule.clone(),
        approval: decision.bounds.approval,
        budget: decision.bounds.budget,
    }
}
