//! Issues, comments on them, labels and reactions.

use super::{merged, node_id};
use crate::model::{Comment, Issue, Label, Permission, Reaction, Repository, Subject, stamp};
use crate::world::World;
use serde_json::{Value, json};

pub(crate) const REACTIONS: [&str; 8] =
    ["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"];

impl World {
    pub(crate) fn issue_page(&self, repo: &Repository, issue: &Issue) -> String {
        let kind = if issue.is_pull { "pull" } else { "issues" };
        format!("{}/{kind}/{}", self.page(repo), issue.number)
    }

    pub(crate) fn issue_json(&self, repo: &Repository, issue: &Issue) -> Value {
        let url = format!("{}/issues/{}", self.api(repo), issue.number);
        let labels: Vec<Value> = issue.labels.iter().map(|name| self.label_by_name(repo, name)).collect();
        let assignees: Vec<Value> = issue.assignees.iter().map(|login| self.user_json(login)).collect();
        let comments = repo.comments.values().filter(|comment| comment.number == issue.number).count();
        let fields = json!({
            "id": issue.id,
            "node_id": self.thread_node_id(repo, issue),
            "url": url,
            "repository_url": self.api(repo),
            "labels_url": format!("{url}/labels{{/name}}"),
            "comments_url": format!("{url}/comments"),
            "events_url": format!("{url}/events"),
            "timeline_url": format!("{url}/timeline"),
            "html_url": self.issue_page(repo, issue),
            "number": issue.number,
            "title": issue.title,
            "user": self.user_json(&issue.author),
            "labels": labels,
            "state": if issue.open { "open" } else { "closed" },
            "state_reason": issue.state_reason,
            "locked": false,
            "active_lock_reason": null,
            "assignee": assignees.first(),
            "assignees": assignees,
            "milestone": null,
            "comments": comments,
            "created_at": stamp(issue.created_at),
            "updated_at": stamp(issue.updated_at),
            "closed_at": issue.closed_at.map(stamp),
            "author_association": self.association(repo, &issue.author),
            "body": issue.body,
            "reactions": self.rollup(repo, Subject::Issue(issue.number), &url),
            "performed_via_github_app": self.via_app_json(issue.by_app),
        });
        match repo.pulls.get(&issue.number) {
            None => fields,
            Some(pull) => merged(
                fields,
                json!({"draft": pull.draft, "pull_request": {
                    "url": format!("{}/pulls/{}", self.api(repo), issue.number),
                    "html_url": self.issue_page(repo, issue),
                    "diff_url": format!("{}.diff", self.issue_page(repo, issue)),
                    "patch_url": format!("{}.patch", self.issue_page(repo, issue)),
                    "merged_at": pull.merged_at.map(stamp),
                }}),
            ),
        }
    }

    /// Gives the global id of an issue, or of the pull request that has its number.
    pub(crate) fn thread_node_id(&self, repo: &Repository, issue: &Issue) -> String {
        match repo.pulls.get(&issue.number) {
            Some(pull) => node_id("PR", pull.id),
            None => node_id("I", issue.id),
        }
    }

    pub(crate) fn comment_json(&self, repo: &Repository, comment: &Comment) -> Value {
        let url = format!("{}/issues/comments/{}", self.api(repo), comment.id);
        json!({
            "url": url,
            "html_url": self.comment_page(repo, comment),
            "issue_url": format!("{}/issues/{}", self.api(repo), comment.number),
            "id": comment.id,
            "node_id": node_id("IC", comment.id),
            "user": self.user_json(&comment.author),
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
            "author_association": self.association(repo, &comment.author),
            "body": comment.body,
            "reactions": self.rollup(repo, Subject::Comment(comment.id), &url),
            "performed_via_github_app": self.via_app_json(comment.by_app),
        })
    }

    pub(crate) fn comment_page(&self, repo: &Repository, comment: &Comment) -> String {
        let thread = repo.issues.get(&comment.number).map(|issue| self.issue_page(repo, issue));
        format!("{}#issuecomment-{}", thread.unwrap_or_default(), comment.id)
    }

    pub(crate) fn label_json(&self, repo: &Repository, label: &Label) -> Value {
        json!({
            "id": label.id,
            "node_id": node_id("LA", label.id),
            "url": format!("{}/labels/{}", self.api(repo), percent(&label.name)),
            "name": label.name,
            "color": label.color,
            "default": false,
            "description": label.description,
        })
    }

    pub(crate) fn label_by_name(&self, repo: &Repository, name: &str) -> Value {
        repo.labels.get(&name.to_lowercase()).map_or(Value::Null, |label| self.label_json(repo, label))
    }

    pub(crate) fn reaction_json(&self, reaction: &Reaction) -> Value {
        json!({
            "id": reaction.id,
            "node_id": node_id("REA", reaction.id),
            "user": self.user_json(&reaction.user),
            "content": reaction.content,
            "created_at": stamp(reaction.created_at),
        })
    }

    pub(crate) fn rollup(&self, repo: &Repository, subject: Subject, url: &str) -> Value {
        let on = |content: &str| {
            let mine = repo.reactions.iter().filter(|reaction| reaction.subject == subject);
            mine.filter(|reaction| reaction.content == content).count()
        };
        let mut rollup = json!({"url": format!("{url}/reactions")});
        for content in REACTIONS {
            rollup[content] = json!(on(content));
        }
        rollup["total_count"] = json!(REACTIONS.iter().map(|content| on(content)).sum::<usize>());
        rollup
    }

    pub(crate) fn association(&self, repo: &Repository, login: &str) -> &'static str {
        let named = repo.permissions.get(&login.to_lowercase()).copied().unwrap_or(Permission::None);
        match (repo.owner.eq_ignore_ascii_case(login), named) {
            (true, _) => "OWNER",
            (false, Permission::None) => "NONE",
            (false, _) => "COLLABORATOR",
        }
    }
}

/// Writes a name so that it can stand in a path.
pub(crate) fn percent(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
