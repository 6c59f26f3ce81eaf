//! Comments on issues and pull requests, and reactions on anything.

use super::{Actor, check_body};
use crate::model::{Comment, CommentRef, Edit, Reaction, Subject};
use crate::refusal::Refusal;
use crate::render::merged;
use crate::world::World;
use chrono::Utc;
use serde_json::{Value, json};

impl World {
    pub(crate) fn add_comment(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        body: &str,
    ) -> Result<CommentRef, Refusal> {
        self.thread_mut(repository, number)?;
        check_comment(body)?;
        let (id, now) = (self.id(), Utc::now());
        let comment = Comment {
            id,
            number,
            author: actor.login.clone(),
            by_app: actor.by_app,
            body: body.to_owned(),
            created_at: now,
            updated_at: now,
            edited: None,
        };
        self.thread_mut(repository, number)?.updated_at = now;
        self.repository_mut(repository)?.comments.insert(id, comment);
        self.emit_comment("created", repository, id, actor, json!({}));
        let repo = self.repository(repository)?;
        let html_url = repo.comments.get(&id).map(|comment| self.comment_page(repo, comment));
        let html_url = html_url.unwrap_or_default();
        Ok(CommentRef { repository: repo.full_name(), number, id, html_url })
    }

    pub(crate) fn edit_comment(
        &mut self,
        repository: &str,
        id: u64,
        actor: &Actor,
        body: &str,
    ) -> Result<(), Refusal> {
        check_comment(body)?;
        let comments = &mut self.repository_mut(repository)?.comments;
        let comment = comments.get_mut(&id).ok_or_else(Refusal::not_found)?;
        let before = std::mem::replace(&mut comment.body, body.to_owned());
        comment.updated_at = Utc::now();
        if before != body {
            comment.edited = Some(Edit::by(actor));
            let changes = json!({"changes": {"body": {"from": before}}});
            self.emit_comment("edited", repository, id, actor, changes);
        }
        Ok(())
    }

    pub(crate) fn delete_comment(&mut self, repository: &str, id: u64, actor: &Actor) -> Result<(), Refusal> {
        let repo = self.repository(repository)?;
        repo.comments.get(&id).ok_or_else(Refusal::not_found)?;
        // The payload shows the comment a last time, so it is written before the comment goes.
        self.emit_comment("deleted", repository, id, actor, json!({}));
        let repo = self.repository_mut(repository)?;
        repo.comments.remove(&id);
        repo.reactions.retain(|reaction| reaction.subject != Subject::Comment(id));
        Ok(())
    }

    fn emit_comment(&mut self, action: &str, repository: &str, id: u64, actor: &Actor, more: Value) {
        let Ok(repo) = self.repository(repository) else { return };
        let Some(comment) = repo.comments.get(&id) else { return };
        let Some(issue) = self.thread_json(repository, comment.number) else { return };
        let about = json!({"issue": issue, "comment": self.comment_json(repo, comment)});
        self.emit("issue_comment", action, repository, actor, merged(more, about));
    }

    /// Adds a reaction; tells whether it is new, since a second equal one is the first.
    pub(crate) fn react(
        &mut self,
        repository: &str,
        subject: Subject,
        actor: &Actor,
        content: &str,
    ) -> Result<(Reaction, bool), Refusal> {
        let repo = self.repository(repository)?;
        let exists = match subject {
            Subject::Issue(number) => repo.issues.contains_key(&number),
            Subject::Comment(id) => repo.comments.contains_key(&id),
            Subject::ReviewComment(id) => repo.review_comments.contains_key(&id),
        };
        if !exists {
            return Err(Refusal::not_found());
        }
        if !crate::render::reaction_contents().contains(&content) {
            return Err(Refusal::field("Reaction", "content", "invalid"));
        }
        let same = |reaction: &&Reaction| {
            reaction.subject == subject && reaction.user == actor.login && reaction.content == content
        };
        if let Some(known) = repo.reactions.iter().find(same) {
            return Ok((known.clone(), false));
        }
        let (id, user) = (self.id(), actor.login.clone());
        let reaction = Reaction { id, subject, user, content: content.to_owned(), created_at: Utc::now() };
        self.repository_mut(repository)?.reactions.push(reaction.clone());
        Ok((reaction, true))
    }

    pub(crate) fn unreact(&mut self, repository: &str, subject: Subject, id: u64) -> Result<(), Refusal> {
        let reactions = &mut self.repository_mut(repository)?.reactions;
        let before = reactions.len();
        reactions.retain(|reaction| reaction.subject != subject || reaction.id != id);
        if reactions.len() == before { Err(Refusal::not_found()) } else { Ok(()) }
    }
}

fn check_comment(body: &str) -> Result<(), Refusal> {
    if body.trim().is_empty() {
        return Err(Refusal::field("IssueComment", "body", "missing_field"));
    }
    check_body("IssueComment", body)
}
