//! Repositories.

use super::{addresses, merged, node_id};
use crate::model::{Repository, stamp};
use crate::world::World;
use serde_json::{Value, json};

const ADDRESSES: &str = "url\narchive_url /{archive_format}{/ref}\nassignees_url /assignees{/user}
    blobs_url /git/blobs{/sha}\nbranches_url /branches{/branch}
    collaborators_url /collaborators{/collaborator}\ncomments_url /comments{/number}
    commits_url /commits{/sha}\ncompare_url /compare/{base}...{head}\ncontents_url /contents/{+path}
    contributors_url /contributors\ndeployments_url /deployments\ndownloads_url /downloads
    events_url /events\nforks_url /forks\ngit_commits_url /git/commits{/sha}\ngit_refs_url /git/refs{/sha}
    git_tags_url /git/tags{/sha}\nissue_comment_url /issues/comments{/number}
    issue_events_url /issues/events{/number}\nissues_url /issues{/number}\nkeys_url /keys{/key_id}
    labels_url /labels{/name}\nlanguages_url /languages\nmerges_url /merges
    milestones_url /milestones{/number}\nnotifications_url /notifications{?since,all,participating}
    pulls_url /pulls{/number}\nreleases_url /releases{/id}\nstargazers_url /stargazers
    statuses_url /statuses/{sha}\nsubscribers_url /subscribers\nsubscription_url /subscription
    tags_url /tags\nteams_url /teams\ntrees_url /git/trees{/sha}\nhooks_url /hooks";

impl World {
    pub(crate) fn api(&self, repo: &Repository) -> String {
        format!("{}/repos/{}", self.base, repo.full_name())
    }

    pub(crate) fn page(&self, repo: &Repository) -> String {
        format!("{}/{}", self.base, repo.full_name())
    }

    pub(crate) fn repository_json(&self, repo: &Repository) -> Value {
        let page = self.page(repo);
        let open = repo.issues.values().filter(|issue| issue.open).count();
        let fields = json!({
            "id": repo.id,
            "node_id": node_id("R", repo.id),
            "name": repo.name,
            "full_name": repo.full_name(),
            "private": repo.private,
            "visibility": if repo.private { "private" } else { "public" },
            "owner": self.user_json(&repo.owner),
            "html_url": page,
            "description": null,
            "fork": false,
            "created_at": stamp(repo.created_at),
            "updated_at": stamp(repo.created_at),
            "pushed_at": stamp(repo.created_at),
            "git_url": format!("git:{}.git", page.trim_start_matches("http:")),
            "ssh_url": format!("git@localhost:{}.git", repo.full_name()),
            "clone_url": format!("{page}.git"),
            "svn_url": page,
            "homepage": null,
            "mirror_url": null,
            "language": null,
            "license": null,
            "size": 1,
            "default_branch": repo.default_branch,
        });
        let counts = json!({
            "open_issues_count": open, "open_issues": open,
            "stargazers_count": 0, "watchers_count": 0, "watchers": 0, "forks_count": 0, "forks": 0,
            "has_issues": true, "has_projects": false, "has_downloads": false, "has_wiki": false,
            "has_pages": false, "has_discussions": false, "archived": repo.archived, "disabled": false,
            "allow_forking": true, "is_template": false, "web_commit_signoff_required": false,
            "topics": [], "custom_properties": {},
        });
        merged(merged(fields, counts), addresses(&self.api(repo), ADDRESSES))
    }

    /// Gives the longer form that one repository's own address answers with.
    pub(crate) fn full_repository_json(&self, repo: &Repository) -> Value {
        let rights =
            json!({"admin": false, "maintain": false, "push": false, "triage": false, "pull": false});
        let more = json!({"subscribers_count": 0, "network_count": 0, "permissions": rights});
        merged(self.repository_json(repo), more)
    }
}
