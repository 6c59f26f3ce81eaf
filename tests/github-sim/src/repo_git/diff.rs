//! Differences between commits, as a pull request shows them.

use super::resolve;
use git2::{Delta, DiffOptions, Oid, Patch, Repository};
use serde::Serialize;
use std::path::Path;

/// Describes how one file differs.
#[derive(Clone, Debug, Serialize)]
pub struct FileDiff {
    /// The path in the new tree (in the old one for a removed file).
    pub path: String,
    /// The path in the old tree, for a renamed file.
    pub previous: Option<String>,
    /// `added`, `removed`, `modified` or `renamed`.
    pub status: &'static str,
    /// Lines added.
    pub additions: usize,
    /// Lines deleted.
    pub deletions: usize,
    /// The hunks as a unified diff without file headers; empty for a binary file.
    pub patch: String,
    /// Id of the blob.
    pub sha: String,
    /// Mode bits of the new file, such as `100644`.
    pub mode: String,
}

/// Compares what `head` changed since it left `base`, as a pull request shows it.
pub(crate) fn diff(path: &Path, base: &str, head: &str) -> Result<Vec<FileDiff>, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let (base, head) = (Oid::from_str(base)?, Oid::from_str(head)?);
    let from = repo.merge_base(base, head).unwrap_or(base);
    diff_trees(&repo, Some(&repo.find_commit(from)?.tree()?), &repo.find_commit(head)?.tree()?)
}

/// Compares a commit with its first parent.
pub(crate) fn commit_diff(path: &Path, sha: &str) -> Result<Vec<FileDiff>, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let commit = resolve(&repo, sha)?;
    let parent = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
    diff_trees(&repo, parent.as_ref(), &commit.tree()?)
}

fn diff_trees(
    repo: &Repository,
    old: Option<&git2::Tree<'_>>,
    new: &git2::Tree<'_>,
) -> Result<Vec<FileDiff>, git2::Error> {
    let mut diff = repo.diff_tree_to_tree(old, Some(new), Some(DiffOptions::new().context_lines(3)))?;
    diff.find_similar(None)?;
    (0..diff.deltas().len()).map(|index| file_diff(&diff, index)).collect()
}

fn file_diff(diff: &git2::Diff<'_>, index: usize) -> Result<FileDiff, git2::Error> {
    let patch = Patch::from_diff(diff, index)?;
    let Some(delta) = diff.get_delta(index) else { return Err(git2::Error::from_str("no such delta")) };
    let path = |file: &git2::DiffFile<'_>| {
        file.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let (status, side) = match delta.status() {
        Delta::Added => ("added", delta.new_file()),
        Delta::Deleted => ("removed", delta.old_file()),
        Delta::Renamed => ("renamed", delta.new_file()),
        _ => ("modified", delta.new_file()),
    };
    let (_, additions, deletions) = match &patch {
        Some(patch) => patch.line_stats()?,
        None => (0, 0, 0),
    };
    Ok(FileDiff {
        path: path(&side),
        previous: (status == "renamed").then(|| path(&delta.old_file())),
        status,
        additions,
        deletions,
        patch: patch.map(|mut patch| hunks(&mut patch)).transpose()?.unwrap_or_default(),
        sha: side.id().to_string(),
        mode: format!("{:06o}", i32::from(side.mode())),
    })
}

/// Writes the hunks of a patch without the file headers, the way GitHub's `patch` field has them.
fn hunks(patch: &mut Patch<'_>) -> Result<String, git2::Error> {
    let mut text = String::new();
    patch.print(&mut |_, _, line| {
        let content = String::from_utf8_lossy(line.content());
        match line.origin() {
            '+' | '-' | ' ' => {
                text.push(line.origin());
                text.push_str(&content);
            }
            'H' | '=' | '>' | '<' => text.push_str(&content),
            _ => {}
        }
        true
    })?;
    Ok(text.trim_end_matches('\n').to_owned())
}

impl FileDiff {
    /// Writes the file's diff with the headers that `git apply` wants.
    pub fn with_header(&self) -> String {
        let old = self.previous.as_ref().unwrap_or(&self.path);
        let from = if self.status == "added" { "/dev/null".to_owned() } else { format!("a/{old}") };
        let to = if self.status == "removed" { "/dev/null".to_owned() } else { format!("b/{}", self.path) };
        let note = match self.status {
            "added" => format!("new file mode {}\n", self.mode),
            "removed" => format!("deleted file mode {}\n", self.mode),
            "renamed" => format!("rename from {old}\nrename to {}\n", self.path),
            _ => String::new(),
        };
        let patch = match self.patch.is_empty() {
            true => String::new(),
            false => format!("--- {from}\n+++ {to}\n{}\n", self.patch),
        };
        format!("diff --git a/{old} b/{}\n{note}{patch}", self.path)
    }
}
