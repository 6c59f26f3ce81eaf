//! Git's objects by the API: blobs, trees, and commits that GitHub signs.

use super::respond::{Answer, Reply, Sent};
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::refusal::Refusal;
use crate::render::node_id;
use crate::repo_git::{self, NewCommit, NewEntry};
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/repos/{owner}/{repo}/git/blobs", post(make_blob))
        .route("/repos/{owner}/{repo}/git/blobs/{sha}", get(blob))
        .route("/repos/{owner}/{repo}/git/trees", post(make_tree))
        .route("/repos/{owner}/{repo}/git/trees/{sha}", get(tree))
        .route("/repos/{owner}/{repo}/git/commits", post(make_commit))
        .route("/repos/{owner}/{repo}/git/commits/{sha}", get(commit))
}

type Home = Path<(String, String)>;
type Below = Path<(String, String, String)>;

#[derive(Deserialize)]
struct NewBlob {
    content: String,
    encoding: Option<String>,
}

async fn make_blob(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    Sent(new): Sent<NewBlob>,
) -> Answer {
    let world = core.write();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("contents", Level::Write)?;
    let content = match new.encoding.as_deref() {
        Some("base64") => {
            let lines: String = new.content.split_whitespace().collect();
            BASE64_STANDARD.decode(lines).map_err(|_| Refusal::new(422, "content is not valid Base64"))?
        }
        _ => new.content.into_bytes(),
    };
    let sha = repo_git::blob(&repo.path, &content)?;
    Ok(Reply::created(json!({"sha": sha, "url": format!("{}/git/blobs/{sha}", world.api(repo))})))
}

async fn blob(State(core): State<Shared>, caller: Caller, Path((owner, repo, sha)): Below) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("contents", Level::Read)?;
    let content = repo_git::read_blob(&repo.path, &sha).ok_or_else(Refusal::not_found)?;
    Ok(Reply::ok(json!({
        "sha": sha,
        "node_id": node_id("B", repo.id),
        "size": content.len(),
        "url": format!("{}/git/blobs/{sha}", world.api(repo)),
        "content": BASE64_STANDARD.encode(&content),
        "encoding": "base64",
    })))
}

#[derive(Deserialize)]
struct NewTree {
    tree: Vec<TreeEntry>,
    base_tree: Option<String>,
}

#[derive(Deserialize)]
struct TreeEntry {
    path: String,
    mode: String,
    #[serde(default, deserialize_with = "given")]
    sha: Option<Option<String>>,
    content: Option<String>,
}

/// Tells `null` from what is not given.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn make_tree(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    Sent(new): Sent<NewTree>,
) -> Answer {
    let world = core.write();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("contents", Level::Write)?;
    if new.tree.is_empty() {
        return Err(Refusal::new(422, "Invalid tree info"));
    }
    let mut entries = Vec::new();
    for entry in new.tree {
        let object = match (entry.sha, entry.content) {
            (Some(_), Some(_)) => {
                return Err(Refusal::new(422, "Must supply either tree.sha or tree.content"));
            }
            (None, None) => return Err(Refusal::new(422, "Must supply a valid tree.sha")),
            (Some(None), None) => None,
            (Some(Some(sha)), None) => {
                let missing = || Refusal::new(422, format!("tree.sha {sha} is not a valid blob"));
                Some(repo_git::object(&repo.path, &sha).ok_or_else(missing)?)
            }
            (None, Some(content)) => {
                repo_git::object(&repo.path, &repo_git::blob(&repo.path, content.as_bytes())?)
            }
        };
        let bad = || Refusal::new(422, "tree.mode is not a mode of git's");
        let mode = i32::from_str_radix(&entry.mode, 8).map_err(|_| bad())?;
        let parts = || entry.path.split('/');
        if parts().any(|part| part.is_empty() || matches!(part, "." | ".." | ".git")) {
            return Err(Refusal::new(422, "tree.path contains a malformed path component"));
        }
        entries.push(NewEntry { path: entry.path, mode, object });
    }
    if world.spoils_trees {
        let object = repo_git::object(&repo.path, &repo_git::blob(&repo.path, b"")?);
        entries.push(NewEntry { path: "spoilt".to_owned(), mode: 0o100_644, object });
    }
    let made = repo_git::tree(&repo.path, new.base_tree.as_deref(), entries);
    let sha =
        made.map_err(|error| Refusal::new(422, format!("GitRPC::BadObjectState: {}", error.message())))?;
    shown(&world, repo, &sha).map(Reply::created)
}

async fn tree(State(core): State<Shared>, caller: Caller, Path((owner, repo, sha)): Below) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("contents", Level::Read)?;
    shown(&world, repo, &sha).map(Reply::ok)
}

fn shown(world: &crate::world::World, repo: &crate::model::Repository, sha: &str) -> Result<Value, Refusal> {
    let (sha, entries) = repo_git::list(&repo.path, sha).ok_or_else(Refusal::not_found)?;
    let git = format!("{}/git", world.api(repo));
    let entries: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut shown = json!({
                "path": entry.path, "mode": format!("{:06o}", entry.mode), "type": entry.kind, "sha": entry.sha,
            });
            if entry.kind != "commit" {
                shown["url"] = json!(format!("{git}/{}s/{}", entry.kind, entry.sha));
            }
            if let Some(size) = entry.size {
                shown["size"] = json!(size);
            }
            shown
        })
        .collect();
    Ok(json!({"sha": sha, "url": format!("{git}/trees/{sha}"), "tree": entries, "truncated": false}))
}

#[derive(Deserialize)]
struct Order {
    message: String,
    tree: String,
    #[serde(default)]
    parents: Vec<String>,
    author: Option<Person>,
    committer: Option<Person>,
}

#[derive(Deserialize)]
struct Person {
    name: String,
    email: String,
}

async fn make_commit(
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo)): Home,
    Sent(order): Sent<Order>,
) -> Answer {
    let world = core.write();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("contents", Level::Write)?;
    if repo_git::object(&repo.path, &order.tree).is_none() {
        return Err(Refusal::new(422, "Tree SHA does not exist"));
    }
    if order.parents.iter().any(|sha| repo_git::object(&repo.path, sha).is_none()) {
        return Err(Refusal::new(422, "Parent SHA does not exist or is not a commit object"));
    }
    let bot = world.app.bot_login();
    let id = world.user(&bot).map_or(0, |user| user.id);
    let own = (bot.clone(), format!("{id}+{bot}@users.noreply.github.com"));
    // GitHub signs what an App makes in its own name, and nothing that says to be by somebody.
    let signed = order.author.is_none() && order.committer.is_none() && world.signs_commits;
    let said = |person: &Option<Person>| person.as_ref().map(|who| (who.name.clone(), who.email.clone()));
    let author = said(&order.author).unwrap_or(own);
    let committer = match signed {
        true => ("GitHub".to_owned(), "noreply@github.com".to_owned()),
        false => said(&order.committer).unwrap_or_else(|| author.clone()),
    };
    let new = NewCommit {
        message: &order.message,
        tree: &order.tree,
        parents: &order.parents,
        author: (&author.0, &author.1),
        committer: (&committer.0, &committer.1),
        signed,
    };
    let sha = repo_git::make_commit(&repo.path, &new)?;
    Ok(Reply::created(world.git_commit_json(repo, &repo_git::commit(&repo.path, &sha)?)))
}

async fn commit(State(core): State<Shared>, caller: Caller, Path((owner, repo, sha)): Below) -> Answer {
    let world = core.read();
    let repo = caller.repository(&world, &owner, &repo)?;
    caller.needs("contents", Level::Read)?;
    let whole = repo_git::object(&repo.path, &sha).ok_or_else(Refusal::not_found)?;
    let commit = repo_git::commit(&repo.path, &whole.to_string()).map_err(|_| Refusal::not_found())?;
    Ok(Reply::ok(world.git_commit_json(repo, &commit)))
}
