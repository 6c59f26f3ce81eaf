//! Acting on the simulated GitHub as its users do in a browser.

use crate::act::{IssueChange, NewPull, NewReviewComment};
use crate::log::Delivery;
use crate::model::{CommentRef, IssueRef, Subject};
use crate::refusal::Refusal;
use crate::repo_git::{self, Change};
use crate::sim::{GithubSim, TimedOut};
use crate::world::World;
use std::time::Duration;

impl GithubSim {
    /// Opens an issue.
    ///
    /// # Errors
    /// When repository or user are unknown, or GitHub would refuse title or body.
    pub fn open_issue(&self, repo: &str, user: &str, title: &str, body: &str) -> Result<IssueRef, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.open_issue(repo, &actor, title, Some(body), &[])
    }

    /// Gives an issue or pull request a new body.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or the body is too long.
    pub fn edit_issue(&self, repo: &str, number: u64, as_user: &str, body: &str) -> Result<(), Refusal> {
        let change = IssueChange { body: Some(body.to_owned()), ..Default::default() };
        self.change_issue(repo, number, as_user, change)
    }

    /// Gives an issue or pull request a new title.
    ///
    /// # Errors
    /// As [`Self::edit_issue`].
    pub fn edit_title(&self, repo: &str, number: u64, as_user: &str, title: &str) -> Result<(), Refusal> {
        let change = IssueChange { title: Some(title.to_owned()), ..Default::default() };
        self.change_issue(repo, number, as_user, change)
    }

    /// Closes an issue or pull request.
    ///
    /// # Errors
    /// When repository, user or number are unknown.
    pub fn close_issue(&self, repo: &str, number: u64, as_user: &str) -> Result<(), Refusal> {
        let change = IssueChange { state: Some("closed".to_owned()), ..Default::default() };
        self.change_issue(repo, number, as_user, change)
    }

    /// Opens a closed issue or pull request again.
    ///
    /// # Errors
    /// When repository, user or number are unknown.
    pub fn reopen_issue(&self, repo: &str, number: u64, as_user: &str) -> Result<(), Refusal> {
        let change = IssueChange { state: Some("open".to_owned()), ..Default::default() };
        self.change_issue(repo, number, as_user, change)
    }

    /// Deletes an issue with its comments.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or it is a pull request.
    pub fn delete_issue(&self, repo: &str, number: u64, as_user: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.delete_issue(repo, number, &actor)
    }

    fn change_issue(&self, repo: &str, number: u64, user: &str, change: IssueChange) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.change_issue(repo, number, &actor, change)
    }

    /// Puts labels on an issue or pull request.
    ///
    /// # Errors
    /// When repository, user or number are unknown.
    pub fn label(&self, repo: &str, number: u64, as_user: &str, names: &[&str]) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        world.add_labels(repo, number, &actor, &names)
    }

    /// Takes a label from an issue or pull request.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or the label is not on it.
    pub fn unlabel(&self, repo: &str, number: u64, as_user: &str, name: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.remove_label(repo, number, &actor, name)
    }

    /// Comments on an issue or pull request.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or the body is empty or too long.
    pub fn comment(&self, repo: &str, number: u64, user: &str, body: &str) -> Result<CommentRef, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.add_comment(repo, number, &actor, body)
    }

    /// Gives a comment a new body; the one who edits need not be its author.
    ///
    /// # Errors
    /// When repository, user or comment are unknown, or the body is empty or too long.
    pub fn edit_comment(&self, repo: &str, id: u64, as_user: &str, body: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.edit_comment(repo, id, &actor, body)
    }

    /// Deletes a comment.
    ///
    /// # Errors
    /// When repository, user or comment are unknown.
    pub fn delete_comment(&self, repo: &str, id: u64, as_user: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.delete_comment(repo, id, &actor)
    }

    /// Reacts with one of GitHub's eight contents, such as `+1` or `eyes`.
    ///
    /// # Errors
    /// When repository, user or subject are unknown, or the content is not one of the eight.
    pub fn react(&self, repo: &str, subject: Subject, user: &str, content: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.react(repo, subject, &actor, content).map(drop)
    }

    /// Commits files as a person onto a branch, which starts at the default branch when it is new;
    /// gives the commit's id.
    ///
    /// # Errors
    /// When repository or user are unknown, or git fails.
    pub fn push_commit(
        &self,
        repo: &str,
        user: &str,
        branch: &str,
        files: &[(&str, &str)],
        message: &str,
    ) -> Result<String, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        let home = world.repository(repo)?;
        let changes = files.iter().map(|(path, content)| Change::text(path, content)).collect();
        let email = format!("{}@example.com", actor.login);
        let author = (actor.login.as_str(), email.as_str());
        let from = Some(home.default_branch.as_str());
        let sha = repo_git::commit_changes(&home.path, branch, from, changes, message, author)?;
        world.follow_branches(repo, &actor)?;
        Ok(sha)
    }

    /// Opens a pull request between two branches that exist; [`Self::push_commit`] makes them.
    ///
    /// # Errors
    /// When repository or user are unknown, or GitHub would refuse it.
    pub fn open_pull(
        &self,
        repo: &str,
        user: &str,
        head: &str,
        base: &str,
        title: &str,
        body: &str,
    ) -> Result<IssueRef, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        let new = NewPull {
            title: title.to_owned(),
            head: head.to_owned(),
            base: base.to_owned(),
            body: Some(body.to_owned()),
            draft: false,
            fork_of: None,
        };
        world.open_pull(repo, &actor, &new)
    }

    /// Opens a pull request on a new branch that changes the files given.
    ///
    /// # Errors
    /// As [`Self::push_commit`] and [`Self::open_pull`].
    pub fn open_pull_with_files(
        &self,
        repo: &str,
        user: &str,
        head: &str,
        files: &[(&str, &str)],
        (title, body): (&str, &str),
    ) -> Result<IssueRef, Refusal> {
        self.push_commit(repo, user, head, files, &format!("{title}\n"))?;
        let base = self.look(|world| world.repository(repo).map(|repo| repo.default_branch.clone()))?;
        self.open_pull(repo, user, head, &base, title, body)
    }

    /// Opens a pull request from somebody's fork, with one commit on a branch of the fork.
    ///
    /// # Errors
    /// As [`Self::open_pull_with_files`].
    pub fn open_pull_from_fork(
        &self,
        repo: &str,
        user: &str,
        head: &str,
        files: &[(&str, &str)],
        (title, body): (&str, &str),
    ) -> Result<IssueRef, Refusal> {
        self.push_commit(repo, user, head, files, &format!("{title}\n"))?;
        let mut world = self.core.write();
        let (actor, home) = (world.person(user)?, world.repository(repo)?);
        let (base, path) = (home.default_branch.clone(), home.path.clone());
        let new = NewPull {
            title: title.to_owned(),
            head: head.to_owned(),
            base,
            body: Some(body.to_owned()),
            draft: false,
            fork_of: Some(user.to_owned()),
        };
        let opened = world.open_pull(repo, &actor, &new)?;
        repo_git::set_ref(&path, &format!("refs/heads/{head}"), None)?;
        Ok(opened)
    }

    /// Merges a pull request with a merge commit and gives its id.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or it cannot be merged.
    pub fn merge_pull(&self, repo: &str, number: u64, as_user: &str) -> Result<String, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.merge_pull(repo, number, &actor)
    }

    /// Comments on the first changed line of a pull request.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or the diff has no line.
    pub fn review_comment(
        &self,
        repo: &str,
        number: u64,
        user: &str,
        body: &str,
    ) -> Result<CommentRef, Refusal> {
        let new = NewReviewComment { body: body.to_owned(), ..Default::default() };
        self.add_review_comment(repo, number, user, &new)
    }

    /// Comments on a line of a file in a pull request's diff.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or the line is not in the diff.
    pub fn review_comment_at(
        &self,
        repo: &str,
        number: u64,
        user: &str,
        (path, line): (&str, u64),
        body: &str,
    ) -> Result<CommentRef, Refusal> {
        let (path, line) = (Some(path.to_owned()), Some(line));
        let new = NewReviewComment { body: body.to_owned(), path, line, ..Default::default() };
        self.add_review_comment(repo, number, user, &new)
    }

    fn add_review_comment(
        &self,
        repo: &str,
        number: u64,
        user: &str,
        new: &NewReviewComment,
    ) -> Result<CommentRef, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.add_review_comment(repo, number, &actor, new)
    }

    /// Gives a review comment a new body.
    ///
    /// # Errors
    /// When repository, user or comment are unknown, or the body is too long.
    pub fn edit_review_comment(&self, repo: &str, id: u64, as_user: &str, body: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.edit_review_comment(repo, id, &actor, body)
    }

    /// Deletes a review comment.
    ///
    /// # Errors
    /// When repository, user or comment are unknown.
    pub fn delete_review_comment(&self, repo: &str, id: u64, as_user: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        world.delete_review_comment(repo, id, &actor)
    }

    /// Submits a review; the state is `APPROVED`, `CHANGES_REQUESTED` or `COMMENTED`.
    ///
    /// # Errors
    /// When repository, user or number are unknown, or the body is missing or too long.
    pub fn review(
        &self,
        repo: &str,
        number: u64,
        user: &str,
        state: &str,
        body: &str,
    ) -> Result<CommentRef, Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.add_review(repo, number, &actor, state, body)
    }

    /// Presses a button that the App put on a check run.
    ///
    /// # Errors
    /// When repository, user, run or button are unknown.
    pub fn press_check_action(
        &self,
        repo: &str,
        id: u64,
        user: &str,
        identifier: &str,
    ) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.press_check_action(repo, id, &actor, identifier)
    }

    /// Presses GitHub's own "Re-run" of a completed check run.
    ///
    /// # Errors
    /// When repository, user or run are unknown, or the run is not completed.
    pub fn rerequest_check(&self, repo: &str, id: u64, user: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(user)?;
        world.rerequest_check(repo, id, &actor)
    }

    /// Sends the `ping` that GitHub sends when a webhook is set up.
    pub fn ping(&self) {
        self.core.write().emit_ping();
    }

    /// Sends the latest delivery with a GUID once more and gives the new entry's id.
    ///
    /// # Errors
    /// When no delivery has the GUID.
    pub fn redeliver(&self, guid: &str) -> Result<u64, Refusal> {
        self.core.write().redeliver(|delivery| delivery.guid == guid)
    }

    /// Sends any bytes, signed, as an event with a GUID of choice; gives the entry's id.
    pub fn deliver_raw(&self, event: &str, body: impl Into<Vec<u8>>, guid: &str) -> u64 {
        self.core.write().put_on_the_way(event, None, None, guid.to_owned(), body.into(), false)
    }

    /// Waits until a delivery has been answered (or has failed) and gives it.
    ///
    /// # Errors
    /// When the deadline passes first.
    pub async fn delivered(&self, id: u64, deadline: Duration) -> Result<Delivery, TimedOut> {
        let answered = |world: &World| {
            world
                .deliveries
                .iter()
                .find(|delivery| delivery.id == id && delivery.status_code.is_some())
                .cloned()
        };
        self.wait_for(deadline, answered).await
    }

    /// Waits until no delivery is on its way.
    ///
    /// # Errors
    /// When the deadline passes first.
    pub async fn settled(&self, deadline: Duration) -> Result<(), TimedOut> {
        let idle = |world: &World| world.deliveries.iter().all(|delivery| delivery.status_code.is_some());
        self.wait_for(deadline, |world| idle(world).then_some(())).await
    }
}
