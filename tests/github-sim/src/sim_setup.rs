//! Setting the scene: repositories, people, what they may do.

use crate::model::{Permission, Repository, Team};
use crate::refusal::Refusal;
use crate::repo_git::{self, Change};
use crate::sim::GithubSim;
use chrono::Utc;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const DEFAULT_BRANCH: &str = "main";

impl GithubSim {
    /// Makes a private repository with one commit on `main` and the App installed on it.
    ///
    /// # Errors
    /// When the name is not `owner/name`, is taken, or git fails.
    pub fn create_repository(&self, full_name: &str, files: &[(&str, &str)]) -> anyhow::Result<()> {
        let changes = files.iter().map(|(path, content)| Change::text(path, content)).collect();
        self.create(full_name, changes)
    }

    /// Makes a private repository with the files of a folder (without its `.git`) as one commit.
    ///
    /// # Errors
    /// As [`Self::create_repository`], and when the folder cannot be read.
    pub fn create_repository_from_dir(&self, full_name: &str, dir: &Path) -> anyhow::Result<()> {
        self.create(full_name, repo_git::changes_from_dir(dir)?)
    }

    fn create(&self, full_name: &str, changes: Vec<Change>) -> anyhow::Result<()> {
        let Some((owner, name)) = full_name.split_once('/') else {
            anyhow::bail!("{full_name} is not of the form owner/name");
        };
        let fine = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if !fine(owner) || !fine(name) || name.starts_with('.') || owner.starts_with('.') {
            anyhow::bail!("{full_name} cannot be the name of a repository");
        }
        let mut world = self.core.write();
        if world.repository(full_name).is_ok() {
            anyhow::bail!("{full_name} exists already");
        }
        // A repository that was renamed keeps its folder, so a new one of the old name needs another.
        let path = self.core.root.join(owner).join(format!("{name}-{}.git", world.id()));
        std::fs::create_dir_all(&path)?;
        repo_git::init(&path, DEFAULT_BRANCH)?;
        let author = (owner, "owner@example.com");
        repo_git::commit_changes(&path, DEFAULT_BRANCH, None, changes, "Start\n", author)?;
        world.add_user(owner, "Organization");
        let repo = blank(world.id(), owner, name, path);
        world.repositories.push(repo);
        Ok(())
    }

    /// Makes an account of a person; one that exists stays as it is.
    pub fn add_user(&self, login: &str) {
        self.core.write().add_user(login, "User");
    }

    /// Makes an account of another App's bot, such as `renovate[bot]`, and gives its id.
    pub fn add_bot(&self, login: &str) -> u64 {
        self.core.write().add_user(login, "Bot").id
    }

    /// Takes somebody into a team, `organisation/slug`, which is made when missing; gives the team's id.
    pub fn add_team_member(&self, team: &str, login: &str) -> u64 {
        self.join_team(team, login, true)
    }

    /// Invites somebody into a team, who does not answer.
    pub fn invite_team_member(&self, team: &str, login: &str) -> u64 {
        self.join_team(team, login, false)
    }

    fn join_team(&self, team: &str, login: &str, active: bool) -> u64 {
        let mut world = self.core.write();
        world.add_user(login, "User");
        let id = world.id();
        let team = world.teams.entry(team.to_lowercase());
        let team = team.or_insert_with(|| Team { id, members: BTreeMap::new() });
        team.members.insert(login.to_lowercase(), active);
        team.id
    }

    /// Takes somebody out of a team.
    pub fn remove_team_member(&self, team: &str, login: &str) {
        if let Some(team) = self.core.write().teams.get_mut(&team.to_lowercase()) {
            team.members.remove(&login.to_lowercase());
        }
    }

    /// Sets what a person may do on a repository; the person is made when missing.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn set_permission(&self, repo: &str, login: &str, permission: Permission) -> Result<(), Refusal> {
        let mut world = self.core.write();
        world.add_user(login, "User");
        world.repository_mut(repo)?.permissions.insert(login.to_lowercase(), permission);
        Ok(())
    }

    /// Makes a repository public (readable by everybody) or private.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn set_private(&self, repo: &str, private: bool) -> Result<(), Refusal> {
        self.core.write().repository_mut(repo)?.private = private;
        Ok(())
    }

    /// Installs the App on a repository or takes it away; without it there is no webhook and no access.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn set_installed(&self, repo: &str, installed: bool) -> Result<(), Refusal> {
        self.core.write().repository_mut(repo)?.installed = installed;
        Ok(())
    }
}

fn blank(id: u64, owner: &str, name: &str, path: std::path::PathBuf) -> Repository {
    Repository {
        id,
        owner: owner.to_owned(),
        name: name.to_owned(),
        private: true,
        installed: true,
        archived: false,
        protected: Vec::new(),
        default_branch: DEFAULT_BRANCH.to_owned(),
        path,
        created_at: Utc::now(),
        next_number: 1,
        permissions: BTreeMap::new(),
        issues: BTreeMap::new(),
        deleted: BTreeSet::new(),
        pulls: BTreeMap::new(),
        comments: BTreeMap::new(),
        reviews: BTreeMap::new(),
        review_comments: BTreeMap::new(),
        labels: BTreeMap::new(),
        reactions: Vec::new(),
        check_runs: BTreeMap::new(),
    }
}
