//! A commit that GitHub makes, and so signs: the same tree as was built here, or none.

use git2::Repository;

use super::branch::Standing;
use super::{Failure, failure, passing, refused};
use crate::crash;
use crate::github::git_data::{TreeContent, TreeEntry};
use crate::github::installation::Place;
use crate::publish::commit;
use crate::run::changeset::{Change, CommitId, FileMode};
use crate::run::mirror::Mirror;
use crate::server::Server;
use crate::server::attempt::{internal, problem};
use crate::store::models::ClaimedTask;

/// Bounds the texts that go along with the tree itself, in bytes of one and of all; what is longer, or no text,
/// becomes a blob first.
const MOST_INLINE: u64 = 100 << 10;
const MOST_INLINE_TOGETHER: u64 = 2 << 20;

/// What is to be made.
pub(super) struct Wanted<'a> {
    /// Is the commit as it was built here.
    pub(super) built: CommitId,
    /// Names the commit that the changes were made on.
    pub(super) base: CommitId,
    /// Holds the changes that are in it.
    pub(super) changes: Vec<Change>,
    /// Holds its message.
    pub(super) message: &'a str,
    /// Names the branch.
    pub(super) branch: &'a str,
}

/// What git says of a commit that was built here.
struct Local {
    base_tree: String,
    tree: String,
    parents: Vec<String>,
}

/// Has GitHub make the commit, and its branch, or go on from where it is; returns the commit. The inner error is the commit
/// that the branch is at already.
pub(super) async fn publish(
    server: &Server,
    task: &ClaimedTask,
    place: Place<'_>,
    wanted: Wanted<'_>,
    standing: &Standing,
) -> Result<Result<CommitId, String>, Failure> {
    let onto = match standing {
        Standing::Free => None,
        Standing::Onto(onto) => Some(*onto),
        Standing::Made(made) | Standing::Past(made, _) => return Ok(Ok(*made)),
        Standing::Foreign(found) => return Ok(Err(found.clone())),
    };
    let id = task.brief.source.repository_id;
    let mirror = server.mirrors.mirror(id).map_err(|error| fatal("the mirror cannot be opened", &error))?;
    let local = local(&mirror, &wanted, onto).map_err(|error| fatal("the commit cannot be read", &error))?;
    let entries = entries(server, place, &wanted.changes).await?;
    let tree = server.github.create_tree(place, &local.base_tree, &entries).await.map_err(failure)?;
    if tree != local.tree {
        return Err(Failure::Final(problem(
            "commit-differs",
            format!(
                "GitHub made the tree {tree} of the changes, and the server {}; nothing was published.",
                local.tree
            ),
            "Write `/work publish` here; if it stays so, ask the operator to set `commit = \"git\"` for the lane.",
        )));
    }
    let made =
        server.github.create_commit(place, wanted.message, &tree, &local.parents).await.map_err(failure)?;
    if !made.verification.verified {
        let why = made.verification.reason;
        return Err(Failure::Final(problem(
            "commit-unverified",
            format!(
                "GitHub made the commit and did not sign it (`{why}`), and the policy asks for signed ones; nothing was published."
            ),
            "Ask the operator: on GitHub Enterprise Server, signing of commits by its API must be switched on; then write \
             `/work publish` here.",
        )));
    }
    let Ok(commit) = made.sha.parse::<CommitId>() else {
        return Err(fatal("GitHub's commit has no name", &made.sha));
    };
    crash::point("branch-pushed.before-commit");
    server
        .store
        .record_push(id, wanted.branch, &made.sha, &task.run_id)
        .await
        .map_err(|error| passing(&error))?;
    crash::point("branch-pushed.before-effect");
    let put = match onto {
        None => server.github.create_branch(place, wanted.branch, &made.sha).await,
        Some(_) => server.github.advance_branch(place, wanted.branch, &made.sha).await,
    };
    match put {
        Ok(()) => Ok(Ok(commit)),
        // What the branch is at now decides: somebody may have been faster, or a rule is against it.
        Err(error) if error.status() == Some(422) => {
            match server.github.branch_head(place, wanted.branch).await.map_err(failure)? {
                Some(head) if head == made.sha => Ok(Ok(commit)),
                Some(head) if Some(&head) != onto.map(|onto| onto.to_string()).as_ref() => Ok(Err(head)),
                _ => Err(Failure::Final(refused("push-rejected", &error.to_string()))),
            }
        }
        Err(error) if error.status() == Some(403) => {
            Err(Failure::Final(refused("push-rejected", &error.to_string())))
        }
        Err(error) => Err(failure(error)),
    }
}

fn local(mirror: &Mirror, wanted: &Wanted<'_>, onto: Option<CommitId>) -> anyhow::Result<Local> {
    let repository: Repository = mirror.repository()?;
    let tree = |commit: CommitId| -> anyhow::Result<String> {
        Ok(repository.find_commit(commit.oid())?.tree_id().to_string())
    };
    let parents = commit::parents(&repository, wanted.base, onto)?;
    Ok(Local {
        base_tree: tree(wanted.base)?,
        tree: tree(wanted.built)?,
        parents: parents.iter().map(ToString::to_string).collect(),
    })
}

/// Makes the entries of the tree, with blobs for what does not fit into them.
async fn entries(server: &Server, place: Place<'_>, changes: &[Change]) -> Result<Vec<TreeEntry>, Failure> {
    let mut left = MOST_INLINE_TOGETHER;
    let mut entries = Vec::with_capacity(changes.len());
    for change in changes {
        let mode = change.mode.unwrap_or(FileMode::Regular).git();
        let content = match &change.blob {
            None => TreeContent::Gone,
            Some(blob) => {
                let (blobs, blob, size) = (server.blobs.clone(), *blob, change.size);
                let read = move || blobs.get(&blob, size);
                let bytes = tokio::task::spawn_blocking(read).await.map_err(anyhow::Error::from);
                let bytes = bytes
                    .and_then(|bytes| Ok(bytes?))
                    .map_err(|error| fatal("the content of a change cannot be read", &error))?;
                match String::from_utf8(bytes) {
                    Ok(text) if change.size <= MOST_INLINE.min(left) && !text.contains('\0') => {
                        left -= change.size;
                        TreeContent::Text(text)
                    }
                    Ok(text) => TreeContent::Blob(
                        server.github.create_blob(place, text.as_bytes()).await.map_err(failure)?,
                    ),
                    Err(error) => TreeContent::Blob(
                        server.github.create_blob(place, error.as_bytes()).await.map_err(failure)?,
                    ),
                }
            }
        };
        entries.push(TreeEntry { path: change.path.clone(), mode, content });
    }
    Ok(entries)
}

fn fatal(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Final(internal(what, error))
}
