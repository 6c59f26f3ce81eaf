//! Opening, changing and closing issues (and the issue half of pull requests).

use super::{Actor, check_body, check_title};
use crate::model::{Edit, Issue, IssueRef, Subject};
use crate::refusal::Refusal;
use crate::world::World;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

/// What shall change of an issue; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct IssueChange {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) state_reason: Option<String>,
    pub(crate) labels: Option<Vec<String>>,
}

impl World {
    pub(crate) fn open_issue(
        &mut self,
        repository: &str,
        actor: &Actor,
        title: &str,
        body: Option<&str>,
        labels: &[String],
    ) -> Result<IssueRef, Refusal> {
        check_title("Issue", title)?;
        check_body("Issue", body.unwrap_or_default())?;
        let number = self.new_thread(repository, actor, title, body, false)?;
        self.emit_issue("opened", repository, number, actor, json!({}));
        self.add_labels(repository, number, actor, labels)?;
        self.issue_ref(repository, number)
    }

    /// Takes the next number and writes the issue, or the issue half of a pull request.
    pub(super) fn new_thread(
        &mut self,
        repository: &str,
        actor: &Actor,
        title: &str,
        body: Option<&str>,
        is_pull: bool,
    ) -> Result<u64, Refusal> {
        self.repository(repository)?;
        let (id, now) = (self.id(), Utc::now());
        let repo = self.repository_mut(repository)?;
        let number = repo.next_number;
        repo.next_number += 1;
        let issue = Issue {
            id,
            number,
            title: title.to_owned(),
            body: body.map(str::to_owned),
            open: true,
            author: actor.login.clone(),
            by_app: actor.by_app,
            is_pull,
            labels: Vec::new(),
            labellings: Vec::new(),
            created_at: now,
            updated_at: now,
            closed_at: None,
            state_reason: None,
            closed_by: None,
            edited: None,
            assignees: Vec::new(),
        };
        repo.issues.insert(number, issue);
        Ok(number)
    }

    pub(crate) fn issue_ref(&self, repository: &str, number: u64) -> Result<IssueRef, Refusal> {
        let repo = self.repository(repository)?;
        let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
        let html_url = self.issue_page(repo, issue);
        Ok(IssueRef { repository: repo.full_name(), number, id: issue.id, html_url })
    }

    pub(crate) fn thread_mut(&mut self, repository: &str, number: u64) -> Result<&mut Issue, Refusal> {
        self.repository_mut(repository)?.issues.get_mut(&number).ok_or_else(Refusal::not_found)
    }

    pub(crate) fn change_issue(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        change: IssueChange,
    ) -> Result<(), Refusal> {
        if let Some(title) = &change.title {
            check_title("Issue", title)?;
        }
        check_body("Issue", change.body.as_deref().unwrap_or_default())?;
        let changes = self.rewrite(repository, number, actor, &change)?;
        if changes != json!({}) {
            self.emit_thread("edited", repository, number, actor, json!({"changes": changes}));
        }
        if let Some(labels) = &change.labels {
            self.set_labels(repository, number, actor, labels)?;
        }
        if let Some(state) = &change.state {
            self.set_state(repository, number, actor, state, change.state_reason.as_deref())?;
        }
        Ok(())
    }

    /// Writes a new title and body and gives the `changes` that a webhook tells of them.
    fn rewrite(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        change: &IssueChange,
    ) -> Result<Value, Refusal> {
        let issue = self.thread_mut(repository, number)?;
        let mut changes = json!({});
        if let Some(title) = change.title.as_ref().filter(|title| **title != issue.title) {
            changes["title"] = json!({"from": issue.title});
            issue.title.clone_from(title);
        }
        if let Some(body) = change.body.as_ref().filter(|body| Some(*body) != issue.body.as_ref()) {
            changes["body"] = json!({"from": issue.body.clone().unwrap_or_default()});
            issue.body = Some(body.clone());
            issue.edited = Some(Edit::by(actor));
        }
        issue.updated_at = Utc::now();
        Ok(changes)
    }

    fn set_state(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        state: &str,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let open = match state {
            "open" => true,
            "closed" => false,
            _ => return Err(Refusal::field("Issue", "state", "invalid")),
        };
        let issue = self.thread_mut(repository, number)?;
        if issue.open == open {
            return Ok(());
        }
        issue.open = open;
        issue.updated_at = Utc::now();
        issue.closed_at = (!open).then(Utc::now);
        issue.closed_by = (!open).then(|| actor.login.clone());
        let otherwise = if open { "reopened" } else { "completed" };
        issue.state_reason = (!issue.is_pull).then(|| reason.unwrap_or(otherwise).to_owned());
        self.emit_thread(if open { "reopened" } else { "closed" }, repository, number, actor, json!({}));
        Ok(())
    }

    /// Deletes an issue with its comments; GitHub lets nobody delete a pull request.
    pub(crate) fn delete_issue(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        if self.thread_mut(repository, number)?.is_pull {
            return Err(Refusal::new(422, "A pull request cannot be deleted"));
        }
        // The payload shows the issue a last time, so it is written before the issue goes.
        self.emit_issue("deleted", repository, number, actor, json!({}));
        let repo = self.repository_mut(repository)?;
        repo.issues.remove(&number);
        repo.deleted.insert(number);
        let gone: Vec<u64> = repo
            .comments
            .values()
            .filter(|comment| comment.number == number)
            .map(|comment| comment.id)
            .collect();
        repo.comments.retain(|id, _| !gone.contains(id));
        repo.reactions.retain(|reaction| match reaction.subject {
            Subject::Issue(on) => on != number,
            Subject::Comment(id) => !gone.contains(&id),
            Subject::ReviewComment(_) => true,
        });
        Ok(())
    }

    /// Owes the webhook of an issue, or of the pull request that has the number.
    pub(crate) fn emit_thread(
        &mut self,
        action: &str,
        repository: &str,
        number: u64,
        actor: &Actor,
        more: Value,
    ) {
        let is_pull = self.issue(repository, number).is_some_and(|issue| issue.is_pull);
        if is_pull {
            self.emit_pull(action, repository, number, actor, more);
        } else {
            self.emit_issue(action, repository, number, actor, more);
        }
    }

    fn emit_issue(&mut self, action: &str, repository: &str, number: u64, actor: &Actor, more: Value) {
        let Some(issue) = self.thread_json(repository, number) else { return };
        let about = crate::render::merged(more, json!({"issue": issue}));
        self.emit("issues", action, repository, actor, about);
    }

    pub(super) fn thread_json(&self, repository: &str, number: u64) -> Option<Value> {
        let repo = self.repository(repository).ok()?;
        Some(self.issue_json(repo, repo.issues.get(&number)?))
    }
}
