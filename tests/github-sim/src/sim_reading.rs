//! Reading from the simulated GitHub; each is a snapshot, and the same question of [`World`] serves waiting.

use crate::log::{Delivery, RequestRecord};
use crate::model::*;
use crate::repo_git::{CommitInfo, FileDiff};
use crate::sim::GithubSim;

impl GithubSim {
    /// Gives the clone address of a repository.
    pub fn clone_url(&self, repo: &str) -> String {
        format!("{}/{repo}.git", self.url())
    }

    /// Gives a repository's id.
    pub fn repository_id(&self, repo: &str) -> Option<u64> {
        self.look(|world| world.repository(repo).ok().map(|repo| repo.id))
    }

    /// Gives a user's id.
    pub fn user_id(&self, login: &str) -> Option<u64> {
        self.look(|world| world.user(login).map(|user| user.id))
    }

    /// Finds an issue or the issue half of a pull request.
    pub fn issue(&self, repo: &str, number: u64) -> Option<Issue> {
        self.look(|world| world.issue(repo, number).cloned())
    }

    /// Lists the pull requests, oldest first.
    pub fn pulls(&self, repo: &str) -> Vec<PullRequest> {
        self.look(|world| world.pulls(repo))
    }

    /// Lists the files that a pull request changes, with their diffs.
    pub fn files(&self, repo: &str, number: u64) -> Vec<FileDiff> {
        self.look(|world| world.files(repo, number))
    }

    /// Lists the comments on an issue or pull request, oldest first.
    pub fn comments(&self, repo: &str, number: u64) -> Vec<Comment> {
        self.look(|world| world.comments(repo, number))
    }

    /// Lists the review comments on a pull request, oldest first.
    pub fn review_comments(&self, repo: &str, number: u64) -> Vec<ReviewComment> {
        self.look(|world| world.review_comments(repo, number))
    }

    /// Lists the reviews of a pull request, oldest first.
    pub fn reviews(&self, repo: &str, number: u64) -> Vec<Review> {
        self.look(|world| world.reviews(repo, number))
    }

    /// Lists the reactions on something, oldest first.
    pub fn reactions(&self, repo: &str, subject: Subject) -> Vec<Reaction> {
        self.look(|world| world.reactions(repo, subject))
    }

    /// Lists the labels on an issue or pull request.
    pub fn labels(&self, repo: &str, number: u64) -> Vec<String> {
        self.look(|world| world.labels(repo, number))
    }

    /// Lists the check runs of a repository, oldest first.
    pub fn check_runs(&self, repo: &str) -> Vec<CheckRun> {
        self.look(|world| world.check_runs(repo))
    }

    /// Lists the branches with the commit that each is at, by name.
    pub fn branches(&self, repo: &str) -> Vec<(String, String)> {
        self.look(|world| world.branches(repo))
    }

    /// Reads a text file at a branch, tag or commit; bytes that are not UTF-8 are replaced.
    pub fn file_at(&self, repo: &str, refname: &str, path: &str) -> Option<String> {
        let bytes = self.look(|world| world.file_at(repo, refname, path))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Reads the commit at a branch, tag or id.
    pub fn commit(&self, repo: &str, refname: &str) -> Option<CommitInfo> {
        self.look(|world| world.commit(repo, refname))
    }

    /// Reads the whole message of the commit at a branch, tag or id.
    pub fn commit_message(&self, repo: &str, refname: &str) -> Option<String> {
        self.commit(repo, refname).map(|commit| commit.message)
    }

    /// Lists every API and git request so far, in order of arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.look(|world| world.requests().to_vec())
    }

    /// Lists every delivery so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.look(|world| world.deliveries().to_vec())
    }
}
