//! Reviews and comments on lines of a diff.

use super::{Actor, check_body};
use crate::model::{CommentRef, Edit, Review, ReviewComment, Subject};
use crate::refusal::Refusal;
use crate::render::merged;
use crate::repo_git::{self, FileDiff};
use crate::world::World;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a new review comment is made of; without a place it lands on the first changed line.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct NewReviewComment {
    #[serde(default)]
    pub(crate) body: String,
    pub(crate) path: Option<String>,
    pub(crate) line: Option<u64>,
    pub(crate) side: Option<String>,
    pub(crate) commit_id: Option<String>,
    pub(crate) in_reply_to: Option<u64>,
}

impl World {
    pub(crate) fn add_review(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        state: &str,
        body: &str,
    ) -> Result<CommentRef, Refusal> {
        check_body("PullRequestReview", body)?;
        if body.trim().is_empty() && state != "APPROVED" {
            return Err(Refusal::field("PullRequestReview", "body", "missing_field"));
        }
        let id = self.new_review(repository, number, actor, state, body)?;
        let repo = self.repository(repository)?;
        let review = repo.reviews.get(&id).ok_or_else(Refusal::not_found)?;
        // Webhooks write the state in lower case, the API in upper case.
        let shown = merged(self.review_json(repo, review), json!({"state": state.to_lowercase()}));
        let html_url = self.review_page(repo, review);
        let answer = CommentRef { repository: repo.full_name(), number, id, html_url };
        let summary = self.pull_summary(repository, number)?;
        let about = json!({"review": shown, "pull_request": summary});
        self.emit("pull_request_review", "submitted", repository, actor, about);
        Ok(answer)
    }

    fn new_review(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        state: &str,
        body: &str,
    ) -> Result<u64, Refusal> {
        let pull = self.repository(repository)?.pulls.get(&number).ok_or_else(Refusal::not_found)?;
        let commit_id = pull.head_sha.clone();
        let id = self.id();
        let review = Review {
            id,
            number,
            author: actor.login.clone(),
            body: body.to_owned(),
            edited: None,
            state: state.to_owned(),
            commit_id,
            submitted_at: Utc::now(),
        };
        self.repository_mut(repository)?.reviews.insert(id, review);
        self.thread_mut(repository, number)?.updated_at = Utc::now();
        Ok(id)
    }

    pub(crate) fn add_review_comment(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        new: &NewReviewComment,
    ) -> Result<CommentRef, Refusal> {
        if new.body.trim().is_empty() {
            return Err(Refusal::field("PullRequestReviewComment", "body", "missing_field"));
        }
        check_body("PullRequestReviewComment", &new.body)?;
        let spot = self.spot(repository, number, new)?;
        let review_id = self.new_review(repository, number, actor, "COMMENTED", "")?;
        let (id, now) = (self.id(), Utc::now());
        let comment = ReviewComment {
            id,
            number,
            review_id,
            author: actor.login.clone(),
            by_app: actor.by_app,
            body: new.body.clone(),
            path: spot.path,
            line: spot.line,
            side: spot.side,
            commit_id: spot.commit_id,
            diff_hunk: spot.diff_hunk,
            position: spot.position,
            in_reply_to: new.in_reply_to,
            created_at: now,
            updated_at: now,
            edited: None,
        };
        self.repository_mut(repository)?.review_comments.insert(id, comment);
        self.emit_review_comment("created", repository, id, actor, json!({}));
        let repo = self.repository(repository)?;
        let html_url = repo.review_comments.get(&id).map(|comment| self.review_comment_page(repo, comment));
        let html_url = html_url.unwrap_or_default();
        Ok(CommentRef { repository: repo.full_name(), number, id, html_url })
    }

    /// Finds the place in the diff that a new comment is for.
    fn spot(&self, repository: &str, number: u64, new: &NewReviewComment) -> Result<Spot, Refusal> {
        let repo = self.repository(repository)?;
        let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?;
        let wrong = |what: &str| {
            Refusal::custom("PullRequestReviewComment", format!("pull_request_review_thread.{what}"))
        };
        if let Some(parent) = new.in_reply_to {
            let parent = repo.review_comments.get(&parent).filter(|parent| parent.number == number);
            return parent.map(Spot::of).ok_or_else(|| wrong("in_reply_to does not exist"));
        }
        if new.commit_id.as_ref().is_some_and(|sha| repo_git::commit(&repo.path, sha).is_err()) {
            return Err(wrong("commit_id is not part of the pull request"));
        }
        let files = repo_git::diff(&repo.path, &pull.base_sha, &pull.head_sha)?;
        let named = |file: &&FileDiff| new.path.as_ref().is_none_or(|path| file.path == *path);
        let file = files.iter().find(named).ok_or_else(|| wrong("path could not be resolved"))?;
        let side = new.side.clone().unwrap_or_else(|| "RIGHT".to_owned());
        let place = place(&file.patch, new.line, side == "LEFT");
        let place = place.ok_or_else(|| wrong("line must be part of the diff"))?;
        let commit_id = new.commit_id.clone().unwrap_or_else(|| pull.head_sha.clone());
        let (path, Place { line, position, diff_hunk }) = (file.path.clone(), place);
        Ok(Spot { path, line, side, position, diff_hunk, commit_id })
    }

    pub(crate) fn edit_review_comment(
        &mut self,
        repository: &str,
        id: u64,
        actor: &Actor,
        body: &str,
    ) -> Result<(), Refusal> {
        check_body("PullRequestReviewComment", body)?;
        let comments = &mut self.repository_mut(repository)?.review_comments;
        let comment = comments.get_mut(&id).ok_or_else(Refusal::not_found)?;
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = Utc::now();
        comment.edited = Some(Edit::by(actor));
        let changes = json!({"changes": {"body": {"from": before}}});
        self.emit_review_comment("edited", repository, id, actor, changes);
        Ok(())
    }

    pub(crate) fn delete_review_comment(
        &mut self,
        repository: &str,
        id: u64,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        self.repository(repository)?.review_comments.get(&id).ok_or_else(Refusal::not_found)?;
        // The payload shows the comment a last time, so it is written before the comment goes.
        self.emit_review_comment("deleted", repository, id, actor, json!({}));
        let repo = self.repository_mut(repository)?;
        repo.review_comments.remove(&id);
        repo.reactions.retain(|reaction| reaction.subject != Subject::ReviewComment(id));
        Ok(())
    }

    fn emit_review_comment(&mut self, action: &str, repository: &str, id: u64, actor: &Actor, more: Value) {
        let Ok(repo) = self.repository(repository) else { return };
        let Some(comment) = repo.review_comments.get(&id) else { return };
        let Ok(pull) = self.pull_summary(repository, comment.number) else { return };
        let about = json!({"comment": self.review_comment_json(repo, comment), "pull_request": pull});
        self.emit("pull_request_review_comment", action, repository, actor, merged(more, about));
    }

    fn pull_summary(&self, repository: &str, number: u64) -> Result<Value, Refusal> {
        let repo = self.repository(repository)?;
        let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?;
        let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
        Ok(self.pull_summary_json(repo, pull, issue))
    }
}

struct Spot {
    path: String,
    line: u64,
    side: String,
    position: u64,
    diff_hunk: String,
    commit_id: String,
}

impl Spot {
    fn of(parent: &ReviewComment) -> Self {
        Self {
            path: parent.path.clone(),
            line: parent.line,
            side: parent.side.clone(),
            position: parent.position,
            diff_hunk: parent.diff_hunk.clone(),
            commit_id: parent.commit_id.clone(),
        }
    }
}

struct Place {
    line: u64,
    position: u64,
    diff_hunk: String,
}

/// Finds a line in a unified diff (the first changed one when none is named) with the hunk up to it.
fn place(patch: &str, wanted: Option<u64>, old_side: bool) -> Option<Place> {
    let (mut old, mut new, mut hunk) = (0, 0, String::new());
    for (position, text) in patch.lines().enumerate() {
        if text.starts_with("@@") {
            (old, new) = hunk_start(text)?;
            hunk = text.to_owned();
            continue;
        }
        hunk.push('\n');
        hunk.push_str(text);
        let kind = text.chars().next().unwrap_or(' ');
        let (on_old, on_new) = (kind != '+', kind != '-');
        let here = if old_side { on_old.then_some(old) } else { on_new.then_some(new) };
        let hit = match wanted {
            Some(line) => here == Some(line),
            None => here.is_some() && kind == if old_side { '-' } else { '+' },
        };
        if let (true, Some(line)) = (hit, here) {
            return Some(Place { line, position: position as u64, diff_hunk: hunk });
        }
        old += u64::from(on_old);
        new += u64::from(on_new);
    }
    None
}

/// Reads the first lines of `@@ -old,count +new,count @@`.
fn hunk_start(header: &str) -> Option<(u64, u64)> {
    let mut ranges = header.split(' ').skip(1);
    let mut start = |sign: char| {
        let range = ranges.next()?.strip_prefix(sign)?;
        range.split(',').next()?.parse().ok()
    };
    Some((start('-')?, start('+')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "@@ -1,2 +1,3 @@\n one\n+two\n three\n@@ -9 +10 @@\n-nine\n+ten";

    #[test]
    fn finds_lines_on_both_sides() {
        let first = place(PATCH, None, false).unwrap();
        assert_eq!((first.line, first.position), (2, 2));
        assert_eq!(first.diff_hunk, "@@ -1,2 +1,3 @@\n one\n+two");
        assert_eq!(place(PATCH, Some(10), false).unwrap().position, 6);
        assert_eq!(place(PATCH, Some(9), true).unwrap().diff_hunk, "@@ -9 +10 @@\n-nine");
        assert!(place(PATCH, Some(77), false).is_none());
    }
}
