//! Everything that the simulated GitHub remembers, and the questions that can be asked of it.

use crate::act::{ManifestCode, Standing};
use crate::auth::Grant;
use crate::fault::Fault;
use crate::log::{Delivery, RequestRecord};
use crate::model::*;
use crate::refusal::Refusal;
use crate::repo_git;
use crate::silence::Silence;
use chrono::{TimeDelta, Utc};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tokio::sync::mpsc;

/// Holds the registered App and its one installation.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) id: u64,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) account: String,
    pub(crate) installation_id: u64,
    pub(crate) standing: Standing,
    pub(crate) permissions: BTreeMap<String, String>,
    pub(crate) events: Vec<String>,
    pub(crate) webhook_secret: String,
    pub(crate) webhook_url: Option<String>,
    /// Tells whether deliveries are made at all.
    pub(crate) hook_active: bool,
    pub(crate) hook_id: u64,
    pub(crate) created_at: Time,
}

impl App {
    pub(crate) fn bot_login(&self) -> String {
        format!("{}[bot]", self.slug)
    }
}

/// Holds the whole state of the simulated GitHub; a closure of [`crate::GithubSim::wait_for`] sees it.
pub struct World {
    pub(crate) base: String,
    pub(crate) app: App,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) repositories: Vec<Repository>,
    /// Teams by `organisation/slug`, in lower case.
    pub(crate) teams: BTreeMap<String, Team>,
    /// Names that repositories had before, in lower case, and the repositories' ids.
    pub(crate) moved: HashMap<String, u64>,
    pub(crate) tokens: HashMap<String, Grant>,
    /// Codes for the credentials of an App that was made from a manifest.
    pub(crate) codes: HashMap<String, ManifestCode>,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) silences: Vec<Silence>,
    /// Whether commits that an App makes by the API are signed.
    pub(crate) signs_commits: bool,
    /// Whether trees that are made by the API hold a file more than was asked for.
    pub(crate) spoils_trees: bool,
    /// How far this GitHub's clock is ahead of the machine's.
    pub(crate) clock: TimeDelta,
    pub(crate) rate: HashMap<String, (i64, u64)>,
    pub(crate) outbox: mpsc::UnboundedSender<u64>,
    next_id: u64,
}

impl World {
    pub(crate) fn new(base: String, mut app: App, outbox: mpsc::UnboundedSender<u64>) -> Self {
        let mut world = Self {
            base,
            app: app.clone(),
            users: BTreeMap::new(),
            repositories: Vec::new(),
            teams: BTreeMap::new(),
            moved: HashMap::new(),
            tokens: HashMap::new(),
            codes: HashMap::new(),
            deliveries: Vec::new(),
            requests: Vec::new(),
            faults: Vec::new(),
            silences: Vec::new(),
            signs_commits: true,
            spoils_trees: false,
            clock: TimeDelta::zero(),
            rate: HashMap::new(),
            outbox,
            next_id: 1_000,
        };
        world.add_user(&app.bot_login(), "Bot");
        world.add_user(&app.account, "Organization");
        app.installation_id = world.id();
        app.hook_id = world.id();
        world.app = app;
        world
    }

    /// Gives the time on this GitHub's clock, by which it dates its answers and judges tokens.
    pub(crate) fn now(&self) -> Time {
        Utc::now() + self.clock
    }

    /// Gives the next id; every thing on the server has its own.
    pub(crate) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(crate) fn add_user(&mut self, login: &str, kind: &'static str) -> User {
        if let Some(known) = self.user(login) {
            return known.clone();
        }
        let user = User { id: self.id(), login: login.to_owned(), kind, created_at: Utc::now() };
        self.users.insert(login.to_lowercase(), user.clone());
        user
    }

    /// Finds an account by login, in any letter case.
    pub fn user(&self, login: &str) -> Option<&User> {
        self.users.get(&login.to_lowercase())
    }

    pub(crate) fn repository(&self, full_name: &str) -> Result<&Repository, Refusal> {
        self.repositories
            .iter()
            .find(|repo| repo.full_name().eq_ignore_ascii_case(full_name))
            .ok_or_else(Refusal::not_found)
    }

    pub(crate) fn repository_mut(&mut self, full_name: &str) -> Result<&mut Repository, Refusal> {
        self.repositories
            .iter_mut()
            .find(|repo| repo.full_name().eq_ignore_ascii_case(full_name))
            .ok_or_else(Refusal::not_found)
    }

    /// Gives what a person may do: what was set, else admin for the owner, else read on a public repository.
    pub(crate) fn permission(&self, repo: &Repository, login: &str) -> Permission {
        let owner = repo.owner.eq_ignore_ascii_case(login);
        let otherwise = match (owner, repo.private) {
            (true, _) => Permission::Admin,
            (false, true) => Permission::None,
            (false, false) => Permission::Read,
        };
        repo.permissions.get(&login.to_lowercase()).copied().unwrap_or(otherwise)
    }

    /// Lists the names of the repositories.
    pub fn repository_names(&self) -> Vec<String> {
        self.repositories.iter().map(Repository::full_name).collect()
    }

    /// Finds an issue or the issue half of a pull request.
    pub fn issue(&self, repository: &str, number: u64) -> Option<&Issue> {
        self.repository(repository).ok()?.issues.get(&number)
    }

    /// Lists the pull requests of a repository, oldest first.
    pub fn pulls(&self, repository: &str) -> Vec<PullRequest> {
        let Ok(repo) = self.repository(repository) else { return Vec::new() };
        repo.pulls.values().filter_map(|pull| self.pull_view(repo, pull)).collect()
    }

    fn pull_view(&self, repo: &Repository, pull: &Pull) -> Option<PullRequest> {
        let issue = repo.issues.get(&pull.number)?;
        Some(PullRequest {
            id: pull.id,
            number: pull.number,
            title: issue.title.clone(),
            body: issue.body.clone().unwrap_or_default(),
            open: issue.open,
            merged: pull.merged_at.is_some(),
            draft: pull.draft,
            author: issue.author.clone(),
            by_app: issue.by_app,
            head: pull.head.clone(),
            base: pull.base.clone(),
            head_sha: pull.head_sha.clone(),
            labels: issue.labels.clone(),
            reviewers: pull.reviewers.clone(),
            assignees: issue.assignees.clone(),
            html_url: format!("{}/{}/pull/{}", self.base, repo.full_name(), pull.number),
        })
    }

    /// Lists the comments on an issue or pull request, oldest first.
    pub fn comments(&self, repository: &str, number: u64) -> Vec<Comment> {
        let Ok(repo) = self.repository(repository) else { return Vec::new() };
        repo.comments.values().filter(|comment| comment.number == number).cloned().collect()
    }

    /// Lists the review comments on a pull request, oldest first.
    pub fn review_comments(&self, repository: &str, number: u64) -> Vec<ReviewComment> {
        let Ok(repo) = self.repository(repository) else { return Vec::new() };
        repo.review_comments.values().filter(|comment| comment.number == number).cloned().collect()
    }

    /// Lists the reviews of a pull request, oldest first.
    pub fn reviews(&self, repository: &str, number: u64) -> Vec<Review> {
        let Ok(repo) = self.repository(repository) else { return Vec::new() };
        repo.reviews.values().filter(|review| review.number == number).cloned().collect()
    }

    /// Lists the reactions on something, oldest first.
    pub fn reactions(&self, repository: &str, subject: Subject) -> Vec<Reaction> {
        let Ok(repo) = self.repository(repository) else { return Vec::new() };
        repo.reactions.iter().filter(|reaction| reaction.subject == subject).cloned().collect()
    }

    /// Lists the labels on an issue or pull request.
    pub fn labels(&self, repository: &str, number: u64) -> Vec<String> {
        self.issue(repository, number).map(|issue| issue.labels.clone()).unwrap_or_default()
    }

    /// Lists the check runs of a repository, oldest first.
    pub fn check_runs(&self, repository: &str) -> Vec<CheckRun> {
        let Ok(repo) = self.repository(repository) else { return Vec::new() };
        repo.check_runs.values().cloned().collect()
    }

    /// Lists the branches with the commit that each is at, by name.
    pub fn branches(&self, repository: &str) -> Vec<(String, String)> {
        self.git(repository, |path| repo_git::branches(path).ok()).unwrap_or_default()
    }

    /// Reads a file at a branch, tag or commit; `None` when any of them is missing.
    pub fn file_at(&self, repository: &str, refname: &str, file: &str) -> Option<Vec<u8>> {
        self.git(repository, |path| repo_git::file_at(path, refname, file))
    }

    /// Reads a commit at a branch, tag or id.
    pub fn commit(&self, repository: &str, refname: &str) -> Option<repo_git::CommitInfo> {
        self.git(repository, |path| repo_git::commit(path, refname).ok())
    }

    /// Lists the files that a pull request changes, with their diffs.
    pub fn files(&self, repository: &str, number: u64) -> Vec<repo_git::FileDiff> {
        let pull = self.repository(repository).ok().and_then(|repo| repo.pulls.get(&number));
        let Some(pull) = pull else { return Vec::new() };
        self.git(repository, |path| repo_git::diff(path, &pull.base_sha, &pull.head_sha).ok())
            .unwrap_or_default()
    }

    fn git<T>(&self, repository: &str, read: impl Fn(&Path) -> Option<T>) -> Option<T> {
        self.repository(repository).ok().and_then(|repo| read(&repo.path))
    }

    /// Lists every delivery, oldest first.
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Lists every API and git request, in order of arrival.
    pub fn requests(&self) -> &[RequestRecord] {
        &self.requests
    }
}
