//! Pull requests, reviews and review comments.

use super::{merged, node_id};
use crate::model::{Issue, Pull, Repository, Review, ReviewComment, Subject, stamp};
use crate::repo_git;
use crate::world::World;
use serde_json::{Value, json};

impl World {
    /// Gives the short form, which lists and review webhooks carry.
    pub(crate) fn pull_summary_json(&self, repo: &Repository, pull: &Pull, issue: &Issue) -> Value {
        let (api, page) = (self.api(repo), self.issue_page(repo, issue));
        let url = format!("{api}/pulls/{}", pull.number);
        let about = self.issue_json(repo, issue);
        let mut head = self.pull_repository_json(repo);
        if let Some(fork) = &pull.fork {
            let full = format!("{}/{}", fork.owner, repo.name);
            let other = json!({"id": fork.id, "node_id": node_id("R", fork.id), "full_name": full,
                "fork": true, "owner": self.user_json(&fork.owner)});
            head = merged(head, other);
        }
        let head_owner = pull.fork.as_ref().map_or(&repo.owner, |fork| &fork.owner);
        let head = json!({"label": format!("{head_owner}:{}", pull.head), "ref": pull.head, "sha": pull.head_sha,
            "user": self.user_json(head_owner), "repo": head});
        let side = |branch: &str, sha: &str| {
            json!({"label": format!("{}:{branch}", repo.owner), "ref": branch, "sha": sha,
                   "user": self.user_json(&repo.owner), "repo": self.pull_repository_json(repo)})
        };
        let fields = json!({
            "id": pull.id,
            "node_id": node_id("PR", pull.id),
            "url": url,
            "html_url": page,
            "diff_url": format!("{page}.diff"),
            "patch_url": format!("{page}.patch"),
            "issue_url": format!("{api}/issues/{}", pull.number),
            "commits_url": format!("{url}/commits"),
            "review_comments_url": format!("{url}/comments"),
            "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
            "comments_url": format!("{api}/issues/{}/comments", pull.number),
            "statuses_url": format!("{api}/statuses/{}", pull.head_sha),
            "number": pull.number,
            "merged_at": pull.merged_at.map(stamp),
            "merge_commit_sha": pull.merge_commit,
            "requested_reviewers": pull.reviewers.iter().map(|login| self.user_json(login)).collect::<Vec<_>>(),
            "requested_teams": [],
            "draft": pull.draft,
            "auto_merge": null,
            "head": head,
            "base": side(&pull.base, &pull.base_sha),
        });
        let links = json!({"_links": {
            "self": {"href": url}, "html": {"href": page},
            "issue": {"href": fields["issue_url"]}, "comments": {"href": fields["comments_url"]},
            "review_comments": {"href": fields["review_comments_url"]},
            "review_comment": {"href": fields["review_comment_url"]},
            "commits": {"href": fields["commits_url"]}, "statuses": {"href": fields["statuses_url"]},
        }});
        merged(merged(fields, shared(&about)), links)
    }

    fn pull_repository_json(&self, repo: &Repository) -> Value {
        let ways = json!({
            "allow_auto_merge": false, "allow_merge_commit": true, "allow_rebase_merge": true,
            "allow_squash_merge": true, "allow_update_branch": false, "delete_branch_on_merge": false,
        });
        merged(self.repository_json(repo), ways)
    }

    /// Gives the long form, with the counts that come from git.
    pub(crate) fn pull_json(&self, repo: &Repository, pull: &Pull, issue: &Issue) -> Value {
        let files = repo_git::diff(&repo.path, &pull.base_sha, &pull.head_sha).unwrap_or_default();
        let commits = repo_git::commits_between(&repo.path, &pull.base_sha, &pull.head_sha);
        let count = |number: usize| json!(number);
        let talk = repo.comments.values().filter(|comment| comment.number == pull.number).count();
        let remarks = repo.review_comments.values().filter(|comment| comment.number == pull.number).count();
        let more = json!({
            "merged": pull.merged_at.is_some(),
            "mergeable": null,
            "rebaseable": null,
            "mergeable_state": "unknown",
            "merged_by": pull.merged_by.as_ref().map(|login| self.user_json(login)),
            "comments": talk,
            "review_comments": remarks,
            "maintainer_can_modify": false,
            "commits": commits.map_or(json!(0), |commits| count(commits.len())),
            "additions": files.iter().map(|file| file.additions).sum::<usize>(),
            "deletions": files.iter().map(|file| file.deletions).sum::<usize>(),
            "changed_files": files.len(),
        });
        merged(self.pull_summary_json(repo, pull, issue), more)
    }

    pub(crate) fn pull_minimal_json(&self, repo: &Repository, pull: &Pull) -> Value {
        let home = json!({"id": repo.id, "url": self.api(repo), "name": repo.name});
        json!({
            "id": pull.id,
            "number": pull.number,
            "url": format!("{}/pulls/{}", self.api(repo), pull.number),
            "head": {"ref": pull.head, "sha": pull.head_sha, "repo": home},
            "base": {"ref": pull.base, "sha": pull.base_sha, "repo": home},
        })
    }

    pub(crate) fn review_page(&self, repo: &Repository, review: &Review) -> String {
        format!("{}/pull/{}#pullrequestreview-{}", self.page(repo), review.number, review.id)
    }

    pub(crate) fn review_json(&self, repo: &Repository, review: &Review) -> Value {
        let pull = format!("{}/pulls/{}", self.api(repo), review.number);
        let page = self.review_page(repo, review);
        json!({
            "id": review.id,
            "node_id": node_id("PRR", review.id),
            "user": self.user_json(&review.author),
            "body": review.body,
            "state": review.state,
            "html_url": page,
            "pull_request_url": pull,
            "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
            "submitted_at": stamp(review.submitted_at),
            "commit_id": review.commit_id,
            "author_association": self.association(repo, &review.author),
        })
    }

    pub(crate) fn review_comment_page(&self, repo: &Repository, comment: &ReviewComment) -> String {
        format!("{}/pull/{}#discussion_r{}", self.page(repo), comment.number, comment.id)
    }

    pub(crate) fn review_comment_json(&self, repo: &Repository, comment: &ReviewComment) -> Value {
        let url = format!("{}/pulls/comments/{}", self.api(repo), comment.id);
        let pull = format!("{}/pulls/{}", self.api(repo), comment.number);
        let page = self.review_comment_page(repo, comment);
        let mut fields = json!({
            "url": url,
            "pull_request_review_id": comment.review_id,
            "id": comment.id,
            "node_id": node_id("PRRC", comment.id),
            "diff_hunk": comment.diff_hunk,
            "path": comment.path,
            "commit_id": comment.commit_id,
            "original_commit_id": comment.commit_id,
            "user": self.user_json(&comment.author),
            "body": comment.body,
            "created_at": stamp(comment.created_at),
            "updated_at": stamp(comment.updated_at),
            "html_url": page,
            "pull_request_url": pull,
            "author_association": self.association(repo, &comment.author),
            "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull}},
            "reactions": self.rollup(repo, Subject::ReviewComment(comment.id), &url),
            "start_line": null,
            "original_start_line": null,
            "start_side": null,
            "line": comment.line,
            "original_line": comment.line,
            "side": comment.side,
            "position": comment.position,
            "original_position": comment.position,
            "subject_type": "line",
        });
        if let Some(parent) = comment.in_reply_to {
            fields["in_reply_to_id"] = json!(parent);
        }
        fields
    }
}

/// Takes from the issue half the fields that the pull request shows too.
fn shared(issue: &Value) -> Value {
    let names = [
        "state",
        "locked",
        "active_lock_reason",
        "title",
        "user",
        "body",
        "labels",
        "milestone",
        "assignee",
        "assignees",
        "created_at",
        "updated_at",
        "closed_at",
        "author_association",
    ];
    Value::Object(names.iter().map(|name| ((*name).to_owned(), issue[*name].clone())).collect())
}
