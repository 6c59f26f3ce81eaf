//! Builds the commit of a run in-process: the base tree and the changed files, nothing else.

use std::collections::BTreeSet;

use git2::{Repository, Time};

use crate::crash;
use crate::publish::diff;
use crate::publish::tree::changed_tree;
use crate::run::changeset::{Change, CommitId, FileMode, RefusalReason};
use crate::run::names;
use crate::run::protected::ProtectedPaths;
use crate::store::blobs::{BlobError, Blobs};

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Holds the name, such as `codex-brief[bot]`.
    pub name: String,
    /// Holds the address, such as `1+codex-brief[bot]@users.noreply.github.com`.
    pub email: String,
}

/// Everything that makes a commit; the same values make the same commit, by name.
#[derive(Debug, Clone)]
pub struct CommitRequest<'a> {
    /// Names the commit that the changes were made on, and the parent where there is no other.
    pub base: CommitId,
    /// Names the commit that the branch is at, where it is to go on from there: what the branch had stays in its
    /// history, and the tree is that of the base with the changes all the same.
    pub onto: Option<CommitId>,
    /// Holds the changed paths.
    pub changes: &'a [Change],
    /// Holds the declared paths, which the commit must change, and no others.
    pub declared: &'a [String],
    /// Names the paths that no commit changes.
    pub protected: &'a ProtectedPaths,
    /// Holds the whole message, see [`crate::publish::message::commit_message`].
    pub message: &'a str,
    /// Names author and committer.
    pub author: &'a Signature,
    /// Holds the time in seconds since 1970; the commit says it in UTC.
    pub time: i64,
}

/// Why a commit could not be built.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The mirror failed.
    #[error("the mirror fails: {0}")]
    Git(#[from] git2::Error),
    /// The content could not be read.
    #[error("the content of a change cannot be read: {0}")]
    Blobs(#[from] BlobError),
    /// The changes do not fit the base commit, or the result is not what was declared.
    #[error("the commit is not built: {0}")]
    Refused(String),
}

/// Builds the commit and returns its name; no branch points at it yet. Safe to repeat.
///
/// # Errors
/// Fails when the mirror or the blobs fail, and when the commit would change other paths than the
/// declared ones, whatever was judged before.
pub fn build_commit(
    repository: &Repository,
    blobs: &Blobs,
    request: &CommitRequest<'_>,
) -> Result<CommitId, CommitError> {
    request.changes.iter().try_for_each(|change| guard(blobs, request.protected, change))?;
    let base = repository.find_commit(request.base.oid())?.tree()?;
    let tree = repository.find_tree(changed_tree(repository, &base, request.changes, blobs)?)?;
    let changed = diff::changed_paths(repository, &base, &tree)?;
    let declared: BTreeSet<Vec<u8>> = request.declared.iter().map(|path| path.as_bytes().to_vec()).collect();
    if let Some(path) = changed.symmetric_difference(&declared).next() {
        let path = names::printable(path);
        return Err(CommitError::Refused(format!("{path:?} is not both declared and changed")));
    }
    if changed.is_empty() {
        return Err(CommitError::Refused("nothing changes".into()));
    }
    let time = Time::new(request.time, 0);
    let author = git2::Signature::new(&request.author.name, &request.author.email, &time)?;
    crash::point("commit-built.before-effect");
    let parents = parents(repository, request.base, request.onto)?;
    let parents = parents.iter().map(|id| repository.find_commit(id.oid())).collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
    let id = repository.commit(None, &author, &author, request.message, &tree, &parents)?;
    Ok(id.into())
}

/// Returns the parents of a commit on `onto`: the base is among them unless it is in that one's history, so that
/// only what the run changed is a change.
///
/// # Errors
/// Fails when the mirror does, or has not both commits.
pub fn parents(
    repository: &Repository,
    base: CommitId,
    onto: Option<CommitId>,
) -> Result<Vec<CommitId>, git2::Error> {
    let Some(onto) = onto.filter(|onto| *onto != base) else { return Ok(vec![base]) };
    let within = repository.graph_descendant_of(onto.oid(), base.oid())?;
    Ok(if within { vec![onto] } else { vec![onto, base] })
}

/// Holds once more what the collection refuses, because a changeset comes back from the store and,
/// some day, from another machine.
fn guard(blobs: &Blobs, protected: &ProtectedPaths, change: &Change) -> Result<(), CommitError> {
    let refused =
        |reason: RefusalReason| Err(CommitError::Refused(format!("{:?} {}", change.path, reason.text())));
    if let Some(reason) = protected.refuses(&change.path) {
        return refused(reason);
    }
    let (Some(FileMode::Symlink), Some(blob)) = (change.mode, &change.blob) else { return Ok(()) };
    let target = blobs.get(blob, names::MAX_PATH as u64)?;
    names::check_link(&change.path, &target).map(drop).or_else(refused)
}

/// Builds the tree of all collected changes, declared or not, to be shown and kept; no commit.
///
/// # Errors
/// Fails when the mirror or the blobs fail, or the changes do not fit the base commit.
pub(super) fn build_tree<'r>(
    repository: &'r Repository,
    blobs: &Blobs,
    base: CommitId,
    changes: &[Change],
) -> Result<(git2::Tree<'r>, git2::Tree<'r>), CommitError> {
    let base = repository.find_commit(base.oid())?.tree()?;
    let tree = repository.find_tree(changed_tree(repository, &base, changes, blobs)?)?;
    Ok((base, tree))
}
