//! Commits, refs, branches, files and folders, all from the real git repository.

use super::{merged, node_id};
use crate::model::{Repository, stamp};
use crate::render::issue::percent;
use crate::repo_git::{CommitInfo, Contents, Entry, FileDiff};
use crate::world::World;
use base64::Engine as _;
use serde_json::{Value, json};

impl World {
    pub(crate) fn commit_json(&self, repo: &Repository, commit: &CommitInfo) -> Value {
        let url = format!("{}/commits/{}", self.api(repo), commit.sha);
        let page = format!("{}/commit/{}", self.page(repo), commit.sha);
        let parents: Vec<Value> = commit.parents.iter().map(|sha| self.parent_json(repo, sha)).collect();
        json!({
            "sha": commit.sha,
            "node_id": node_id("C", repo.id),
            "url": url,
            "html_url": page,
            "comments_url": format!("{url}/comments"),
            "commit": {
                "url": format!("{}/git/commits/{}", self.api(repo), commit.sha),
                "author": {"name": commit.author.0, "email": commit.author.1, "date": stamp(commit.authored_at)},
                "committer": {
                    "name": commit.committer.0, "email": commit.committer.1,
                    "date": stamp(commit.committed_at),
                },
                "message": commit.message.trim_end_matches('\n'),
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": format!("{}/git/trees/{}", self.api(repo), commit.tree)},
                "verification": verification(commit),
            },
            "author": self.user_by_email(&commit.author.1),
            "committer": self.user_by_email(&commit.committer.1),
            "parents": parents,
        })
    }

    /// Gives a commit as git's own objects are told.
    pub(crate) fn git_commit_json(&self, repo: &Repository, commit: &CommitInfo) -> Value {
        let person = |who: &(String, String), at| json!({"name": who.0, "email": who.1, "date": stamp(at)});
        let git = format!("{}/git", self.api(repo));
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|sha| {
                let page = format!("{}/commit/{sha}", self.page(repo));
                json!({"sha": sha, "url": format!("{git}/commits/{sha}"), "html_url": page})
            })
            .collect();
        json!({
            "sha": commit.sha,
            "node_id": node_id("C", repo.id),
            "url": format!("{git}/commits/{}", commit.sha),
            "html_url": format!("{}/commit/{}", self.page(repo), commit.sha),
            "author": person(&commit.author, commit.authored_at),
            "committer": person(&commit.committer, commit.committed_at),
            "tree": {"sha": commit.tree, "url": format!("{git}/trees/{}", commit.tree)},
            "message": commit.message,
            "parents": parents,
            "verification": verification(commit),
        })
    }

    fn parent_json(&self, repo: &Repository, sha: &str) -> Value {
        json!({
            "sha": sha,
            "url": format!("{}/commits/{sha}", self.api(repo)),
            "html_url": format!("{}/commit/{sha}", self.page(repo)),
        })
    }

    /// Finds the account of an `id+login@users.noreply.github.com` address.
    pub(crate) fn user_by_email(&self, email: &str) -> Value {
        let local = email.strip_suffix("@users.noreply.github.com");
        let login = local.and_then(|local| local.split_once('+')).map(|(_, login)| login);
        login.map_or(Value::Null, |login| self.user_json(login))
    }

    pub(crate) fn file_diff_json(&self, repo: &Repository, head: &str, file: &FileDiff) -> Value {
        let path = path_in_address(&file.path);
        let mut fields = json!({
            "sha": file.sha,
            "filename": file.path,
            "status": file.status,
            "additions": file.additions,
            "deletions": file.deletions,
            "changes": file.additions + file.deletions,
            "blob_url": format!("{}/blob/{head}/{path}", self.page(repo)),
            "raw_url": format!("{}/raw/{head}/{path}", self.page(repo)),
            "contents_url": format!("{}/contents/{path}?ref={head}", self.api(repo)),
        });
        if !file.patch.is_empty() {
            fields["patch"] = json!(file.patch);
        }
        if let Some(previous) = &file.previous {
            fields["previous_filename"] = json!(previous);
        }
        fields
    }

    pub(crate) fn ref_json(&self, repo: &Repository, name: &str, sha: &str) -> Value {
        json!({
            "ref": name,
            "node_id": node_id("REF", repo.id),
            "url": format!("{}/git/{name}", self.api(repo)),
            "object": {
                "type": "commit", "sha": sha, "url": format!("{}/git/commits/{sha}", self.api(repo)),
            },
        })
    }

    pub(crate) fn short_branch_json(&self, repo: &Repository, name: &str, sha: &str) -> Value {
        let commit = json!({"sha": sha, "url": format!("{}/commits/{sha}", self.api(repo))});
        json!({"name": name, "commit": commit, "protected": false})
    }

    pub(crate) fn branch_json(&self, repo: &Repository, name: &str, commit: &CommitInfo) -> Value {
        let url = format!("{}/branches/{name}", self.api(repo));
        json!({
            "name": name,
            "commit": self.commit_json(repo, commit),
            "_links": {"self": url, "html": format!("{}/tree/{name}", self.page(repo))},
            "protected": false,
            "protection": {
                "enabled": false,
                "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
            },
            "protection_url": format!("{url}/protection"),
        })
    }

    pub(crate) fn contents_json(&self, repo: &Repository, refname: &str, found: &Contents) -> Value {
        match found {
            Contents::Folder(entries) => {
                entries.iter().map(|entry| self.entry_json(repo, refname, entry)).collect()
            }
            Contents::File(entry, bytes) if entry.kind == "symlink" => {
                let target = String::from_utf8_lossy(bytes);
                merged(self.entry_json(repo, refname, entry), json!({"target": target}))
            }
            Contents::File(entry, bytes) => {
                let content = base64::prelude::BASE64_STANDARD.encode(bytes);
                let more = json!({"encoding": "base64", "content": content});
                merged(self.entry_json(repo, refname, entry), more)
            }
        }
    }

    fn entry_json(&self, repo: &Repository, refname: &str, entry: &Entry) -> Value {
        let path = path_in_address(&entry.path);
        let at = format!("{}/contents/{path}?ref={}", self.api(repo), percent(refname));
        let git = format!(
            "{}/git/{}s/{}",
            self.api(repo),
            if entry.kind == "dir" { "tree" } else { "blob" },
            entry.sha
        );
        let page = format!("{}/blob/{refname}/{path}", self.page(repo));
        json!({
            "type": entry.kind,
            "size": entry.size,
            "name": entry.path.rsplit('/').next(),
            "path": entry.path,
            "sha": entry.sha,
            "url": at,
            "git_url": git,
            "html_url": page,
            "download_url": format!("{}/raw/{refname}/{path}", self.page(repo)),
            "_links": {"self": at, "git": git, "html": page},
        })
    }
}

fn verification(commit: &CommitInfo) -> Value {
    match &commit.signature {
        Some((signature, payload)) => json!({
            "verified": true, "reason": "valid", "signature": signature, "payload": payload,
            "verified_at": stamp(commit.committed_at),
        }),
        None => json!({
            "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null,
        }),
    }
}

fn path_in_address(path: &str) -> String {
    path.split('/').map(percent).collect::<Vec<_>>().join("/")
}
