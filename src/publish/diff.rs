//! Shows what a run changed: a summary and a diff for people, a whole patch for keeping.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{Diff, DiffDelta, DiffLine, DiffOptions, Odb, Patch, Repository, Tree, TreeEntry};

use crate::publish::commit::{CommitError, build_tree};
use crate::run::changeset::{Changeset, FileMode};
use crate::run::names;
use crate::run::report::ChangeSummary;
use crate::store::blobs::Blobs;

/// Bounds the files that are compared line by line, in bytes; longer ones are shown as binary in the
/// summary, whole in the patch.
const COMPARED: i64 = 4 << 20;

/// Bounds the bytes of all files together that are compared with another version, by the shorter of
/// the two; the rest is shown as binary. Two shuffled files of a megabyte cost seconds, and the cost
/// grows faster than they do: a run's 64 MiB of them would keep a core busy for many minutes.
const COMPARED_TOGETHER: usize = 1 << 20;

/// A changeset for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Holds each changed path, sorted.
    pub changes: Vec<ChangeSummary>,
    /// Holds the unified diff, lossy UTF-8; of a binary file it says only that it differs.
    pub diff: String,
    /// Tells whether `diff` was cut, or leaves files out that were too long to be compared.
    pub cut: bool,
}

/// Shows all collected changes, declared or not, with at most `bound` bytes of diff, cut between
/// lines.
///
/// # Errors
/// Fails when the mirror or the blobs fail.
pub fn summarize(
    repository: &Repository,
    blobs: &Blobs,
    changeset: &Changeset,
    declared: &[String],
    bound: usize,
) -> Result<Shown, CommitError> {
    let (base, tree) = build_tree(repository, blobs, changeset.base_commit, &changeset.entries)?;
    let mut options = options();
    options.max_size(COMPARED);
    let diff = repository.diff_tree_to_tree(Some(&base), Some(&tree), Some(&mut options))?;
    let mut counts: BTreeMap<Vec<u8>, (u64, u64, bool)> = BTreeMap::new();
    let mut text = Text { bytes: Vec::new(), bound, cut: false };
    let odb = repository.odb()?;
    let (mut room, mut left_out) = (COMPARED_TOGETHER, false);
    for (index, delta) in diff.deltas().enumerate() {
        let Some(left) = room.checked_sub(both_hold(&odb, &delta)?) else {
            counts.entry(path_of(&delta)).or_default().2 = true;
            left_out = true;
            continue;
        };
        room = left;
        let Some(mut patch) = Patch::from_diff(&diff, index)? else { continue };
        let (_, added, removed) = patch.line_stats()?;
        let delta = patch.delta();
        let count = counts.entry(path_of(&delta)).or_default();
        count.0 += added as u64;
        count.1 += removed as u64;
        count.2 |= delta.flags().is_binary();
        // A patch is shown whole or up to a line's end; what comes behind a cut is not looked at.
        if !text.cut {
            stopped(patch.print(&mut |_, _, line| text.take(&line)), text.cut)?;
        }
    }
    let declared: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    let mut changes = Vec::with_capacity(changeset.entries.len());
    for change in &changeset.entries {
        let (added_lines, removed_lines, binary) =
            counts.get(change.path.as_bytes()).copied().unwrap_or_default();
        let link = match (change.mode, &change.blob) {
            (Some(FileMode::Symlink), Some(blob)) => {
                let target = blobs.get(blob, names::MAX_PATH as u64)?;
                Some(String::from_utf8_lossy(&target).into_owned())
            }
            _ => None,
        };
        changes.push(ChangeSummary {
            path: change.path.clone(),
            kind: change.kind,
            added_lines,
            removed_lines,
            binary,
            declared: declared.contains(change.path.as_str()),
            old_mode: base.get_path(Path::new(&change.path)).ok().and_then(|entry| file_mode(&entry)),
            new_mode: change.mode,
            link,
        });
    }
    Ok(Shown { changes, diff: String::from_utf8_lossy(&text.bytes).into_owned(), cut: text.cut || left_out })
}

/// Returns all collected changes as a patch that `git apply` takes on the base commit, binary files
/// included. Bytes, because files need not be UTF-8; its size is bounded by the lane's
/// `changed_bytes` and what the base commit holds of the same files.
///
/// # Errors
/// Fails when the mirror or the blobs fail.
pub fn patch(repository: &Repository, blobs: &Blobs, changeset: &Changeset) -> Result<Vec<u8>, CommitError> {
    let (base, tree) = build_tree(repository, blobs, changeset.base_commit, &changeset.entries)?;
    let mut options = options();
    options.show_binary(true).id_abbrev(40);
    let diff = repository.diff_tree_to_tree(Some(&base), Some(&tree), Some(&mut options))?;
    let mut text = Text { bytes: Vec::new(), bound: usize::MAX, cut: false };
    diff.print(git2::DiffFormat::Patch, |_, _, line| text.take(&line))?;
    Ok(text.bytes)
}

/// Returns the paths at which two trees differ.
pub(super) fn changed_paths(
    repository: &Repository,
    base: &Tree<'_>,
    tree: &Tree<'_>,
) -> Result<BTreeSet<Vec<u8>>, git2::Error> {
    let diff: Diff<'_> = repository.diff_tree_to_tree(Some(base), Some(tree), Some(&mut options()))?;
    Ok(diff.deltas().map(|delta| path_of(&delta)).collect())
}

/// Returns the bytes of the shorter of two versions; 0 where there is only one, or no file.
fn both_hold(odb: &Odb<'_>, delta: &DiffDelta<'_>) -> Result<usize, git2::Error> {
    let size = |file: git2::DiffFile<'_>| match file.id().is_zero() || file.mode() == git2::FileMode::Commit {
        true => Ok(0),
        false => odb.read_header(file.id()).map(|(size, _)| size),
    };
    Ok(size(delta.old_file())?.min(size(delta.new_file())?))
}

/// Returns the mode of a file of a tree; 100664 is an old form of 100644.
fn file_mode(entry: &TreeEntry<'_>) -> Option<FileMode> {
    match entry.filemode() {
        0o100_644 | 0o100_664 => Some(FileMode::Regular),
        0o100_755 => Some(FileMode::Executable),
        0o120_000 => Some(FileMode::Symlink),
        _ => None,
    }
}

fn path_of(delta: &DiffDelta<'_>) -> Vec<u8> {
    delta.new_file().path_bytes().or_else(|| delta.old_file().path_bytes()).unwrap_or_default().to_vec()
}

fn options() -> DiffOptions {
    let mut options = DiffOptions::new();
    // Whatever the settings of the machine say.
    options.context_lines(3).interhunk_lines(0).indent_heuristic(true).old_prefix("a").new_prefix("b");
    options.ignore_submodules(false).ignore_whitespace(false);
    options
}

/// Takes the lines of a patch up to a bound.
struct Text {
    bytes: Vec<u8>,
    bound: usize,
    cut: bool,
}

impl Text {
    fn take(&mut self, line: &DiffLine<'_>) -> bool {
        let origin = line.origin();
        let marked = matches!(origin, '+' | '-' | ' ');
        if self.bytes.len() + usize::from(marked) + line.content().len() > self.bound {
            self.cut = true;
            return false;
        }
        if marked {
            self.bytes.push(origin as u8);
        }
        self.bytes.extend_from_slice(line.content());
        true
    }
}

/// Tells an end that was asked for from an error.
fn stopped(result: Result<(), git2::Error>, cut: bool) -> Result<(), git2::Error> {
    match result {
        Err(error) if cut && error.code() == git2::ErrorCode::User => Ok(()),
        result => result,
    }
}
