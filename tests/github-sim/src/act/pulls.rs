//! Opening, changing, following and merging pull requests.

use super::issues::IssueChange;
use super::{Actor, check_body, check_title};
use crate::model::{Fork, IssueRef, Pull};
use crate::refusal::Refusal;
use crate::render::merged;
use crate::repo_git;
use crate::world::World;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a new pull request is made of.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewPull {
    #[serde(default)]
    pub(crate) title: String,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) body: Option<String>,
    #[serde(default)]
    pub(crate) draft: bool,
    /// The account from whose fork it comes; the branch is looked for in the repository all the same.
    #[serde(skip)]
    pub(crate) fork_of: Option<String>,
}

/// What shall change of a pull request; what is absent stays.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PullChange {
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) base: Option<String>,
}

impl World {
    pub(crate) fn open_pull(
        &mut self,
        repository: &str,
        actor: &Actor,
        new: &NewPull,
    ) -> Result<IssueRef, Refusal> {
        check_title("PullRequest", &new.title)?;
        check_body("PullRequest", new.body.as_deref().unwrap_or_default())?;
        let (head, head_sha, base_sha) = self.check_branches(repository, new)?;
        let number = self.new_thread(repository, actor, &new.title, new.body.as_deref(), true)?;
        let id = self.id();
        let fork = new.fork_of.clone().map(|owner| Fork { id: self.id(), owner });
        let pull = Pull {
            id,
            number,
            head,
            fork,
            base: new.base.clone(),
            head_sha: head_sha.clone(),
            base_sha,
            draft: new.draft,
            reviewers: Vec::new(),
            merged_at: None,
            merged_by: None,
            merge_commit: None,
        };
        let repo = self.repository_mut(repository)?;
        repo_git::set_ref(&repo.path, &format!("refs/pull/{number}/head"), Some(&head_sha))?;
        repo.pulls.insert(number, pull);
        self.emit_pull("opened", repository, number, actor, json!({}));
        self.issue_ref(repository, number)
    }

    /// Checks what GitHub checks of head and base; gives the head's branch and both commits.
    fn check_branches(&self, repository: &str, new: &NewPull) -> Result<(String, String, String), Refusal> {
        let repo = self.repository(repository)?;
        let invalid = |field: &str| Refusal::field("PullRequest", field, "invalid");
        let head = match new.head.split_once(':') {
            Some((owner, branch)) if owner.eq_ignore_ascii_case(&repo.owner) => branch,
            // A head in a fork: only `GithubSim::open_pull_from_fork` opens such a one.
            Some(_) => return Err(invalid("head")),
            None => &new.head,
        };
        let base_sha = repo_git::branch_tip(&repo.path, &new.base).ok_or_else(|| invalid("base"))?;
        let head_sha = repo_git::branch_tip(&repo.path, head).ok_or_else(|| invalid("head"))?;
        let same = |pull: &&Pull| pull.head == head && pull.base == new.base;
        let open = |pull: &&Pull| repo.issues.get(&pull.number).is_some_and(|issue| issue.open);
        if repo.pulls.values().filter(same).any(|pull| open(&pull)) {
            let message = format!("A pull request already exists for {}:{head}.", repo.owner);
            return Err(Refusal::custom("PullRequest", message));
        }
        let Some(_) = repo_git::merge_base(&repo.path, &base_sha, &head_sha) else {
            let message = format!("The {head} branch has no history in common with {}", new.base);
            return Err(Refusal::custom("PullRequest", message));
        };
        if repo_git::commits_between(&repo.path, &base_sha, &head_sha)?.is_empty() {
            let message = format!("No commits between {} and {head}", new.base);
            return Err(Refusal::custom("PullRequest", message));
        }
        Ok((head.to_owned(), head_sha, base_sha))
    }

    pub(crate) fn change_pull(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        change: PullChange,
    ) -> Result<(), Refusal> {
        if let Some(base) = &change.base {
            self.change_base(repository, number, actor, base)?;
        }
        let PullChange { title, body, state, .. } = change;
        self.change_issue(repository, number, actor, IssueChange { title, body, state, ..Default::default() })
    }

    fn change_base(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        base: &str,
    ) -> Result<(), Refusal> {
        let repo = self.repository_mut(repository)?;
        let tip = repo_git::branch_tip(&repo.path, base);
        let tip = tip.ok_or_else(|| Refusal::field("PullRequest", "base", "invalid"))?;
        let pull = repo.pulls.get_mut(&number).ok_or_else(Refusal::not_found)?;
        if pull.base == base {
            return Ok(());
        }
        let from = json!({"ref": {"from": pull.base}, "sha": {"from": pull.base_sha}});
        pull.base = base.to_owned();
        pull.base_sha = tip;
        self.emit_pull("edited", repository, number, actor, json!({"changes": {"base": from}}));
        Ok(())
    }

    /// Brings open pull requests up to date after refs moved: new heads are told, lost heads close them.
    pub(crate) fn follow_branches(&mut self, repository: &str, actor: &Actor) -> Result<(), Refusal> {
        let repo = self.repository(repository)?;
        let open = |pull: &&Pull| repo.issues.get(&pull.number).is_some_and(|issue| issue.open);
        let moved: Vec<(u64, Option<String>, String)> = repo
            .pulls
            .values()
            .filter(open)
            // A fork's branches are not here.
            .filter(|pull| pull.fork.is_none())
            .map(|pull| (pull, repo_git::branch_tip(&repo.path, &pull.head)))
            .filter(|(pull, tip)| tip.as_ref() != Some(&pull.head_sha))
            .map(|(pull, tip)| (pull.number, tip, pull.head_sha.clone()))
            .collect();
        for (number, tip, before) in moved {
            let Some(after) = tip else {
                let change = IssueChange { state: Some("closed".to_owned()), ..Default::default() };
                self.change_issue(repository, number, actor, change)?;
                continue;
            };
            let repo = self.repository_mut(repository)?;
            repo_git::set_ref(&repo.path, &format!("refs/pull/{number}/head"), Some(&after))?;
            if let Some(pull) = repo.pulls.get_mut(&number) {
                pull.head_sha.clone_from(&after);
            }
            let more = json!({"before": before, "after": after});
            self.emit_pull("synchronize", repository, number, actor, more);
        }
        Ok(())
    }

    pub(crate) fn merge_pull(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
    ) -> Result<String, Refusal> {
        let repo = self.repository(repository)?;
        let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?.clone();
        let issue = repo.issues.get(&number).ok_or_else(Refusal::not_found)?;
        let not_mergeable = || Refusal::new(405, "Pull Request is not mergeable");
        if !issue.open {
            return Err(not_mergeable());
        }
        let message =
            format!("Merge pull request #{number} from {}/{}\n\n{}", repo.owner, pull.head, issue.title);
        let email = format!("{}@users.noreply.github.com", actor.login);
        let who = (actor.login.as_str(), email.as_str());
        let merge = repo_git::merge(&repo.path, &pull.base, &pull.head_sha, &message, who)?;
        let merge = merge.ok_or_else(not_mergeable)?;
        if let Some(pull) = self.repository_mut(repository)?.pulls.get_mut(&number) {
            pull.merged_at = Some(Utc::now());
            pull.merged_by = Some(actor.login.clone());
            pull.merge_commit = Some(merge.clone());
        }
        let change = IssueChange { state: Some("closed".to_owned()), ..Default::default() };
        self.change_issue(repository, number, actor, change)?;
        Ok(merge)
    }

    pub(super) fn emit_pull(
        &mut self,
        action: &str,
        repository: &str,
        number: u64,
        actor: &Actor,
        more: Value,
    ) {
        let Ok(repo) = self.repository(repository) else { return };
        let (Some(pull), Some(issue)) = (repo.pulls.get(&number), repo.issues.get(&number)) else { return };
        let about = json!({"number": number, "pull_request": self.pull_json(repo, pull, issue)});
        self.emit("pull_request", action, repository, actor, merged(more, about));
    }
}
