//! Collects what a run changed: a walk over the touched checkout beside the base commit's tree.
//!
//! Git is never run here, no link is followed, and a file's content is taken from the very handle
//! that was checked. The top `.git` folder is not looked at: whatever steps put there stays there.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git2::{ObjectType, Odb, Repository, Tree, TreeEntry};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use crate::run::changeset::{Change, Changeset, CommitId, Exceeded, FileMode, Refusal, RefusalReason};
use crate::run::contract::{CollectLimits, Contract};
use crate::run::handles;
use crate::run::ignored::IgnoreRules;
use crate::run::names::{self, MAX_DEPTH};
use crate::run::report::ChangeKind;
use crate::store::blobs::{BlobError, BlobId, Blobs};

/// What is collected, and against what.
pub struct CollectRequest<'a> {
    /// Holds the checkout after the steps; no process of the run is left.
    pub checkout: &'a Path,
    /// Holds the mirror, opened.
    pub repository: &'a Repository,
    /// Names the commit that the checkout was made from.
    pub base: CommitId,
    /// Holds the declared paths: they count even where the ignore rules name them.
    pub declared: &'a [String],
    /// Holds paths that are read for something else than the commit: where they are neither tracked nor declared,
    /// they do not count, as if the ignore rules named them.
    pub aside: &'a [String],
    /// Bounds the collection.
    pub limits: CollectLimits,
    /// Tells what is taken.
    pub contract: &'a Contract,
    /// Takes the content.
    pub blobs: &'a Blobs,
}

/// Why nothing could be collected: the machine's fault, not the steps'.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The mirror could not be read.
    #[error("the mirror cannot be read: {0}")]
    Git(#[from] git2::Error),
    /// The checkout could not be read.
    #[error("{path} in the checkout cannot be read: {error}")]
    Checkout {
        /// Holds the path for people.
        path: String,
        /// Holds what the kernel said.
        error: io::Error,
    },
    /// The content could not be stored.
    #[error("a changed file cannot be stored: {0}")]
    Blobs(#[from] BlobError),
}

/// Collects what changed, in the time that it takes to read the whole checkout once.
///
/// # Errors
/// Fails when the mirror, the checkout's folder or the blob store fails. What the steps did, however
/// odd, is no error: it stands in [`Changeset::refused`] or [`Changeset::exceeded`].
pub fn collect(request: &CollectRequest<'_>) -> Result<Changeset, CollectError> {
    let base = request.repository.find_commit(request.base.oid())?.tree()?;
    let mut collector = Collector {
        request,
        odb: request.repository.odb()?,
        declared: request.declared.iter().map(|path| path.as_bytes()).collect(),
        rules: IgnoreRules::default(),
        looked_at: 0,
        bytes: 0,
        links: Vec::new(),
        found: Changeset {
            base_commit: request.base,
            entries: Vec::new(),
            ignored: 0,
            refused: Vec::new(),
            exceeded: None,
        },
    };
    let root = handles::open_root(request.checkout).map_err(|error| failed(b".", error))?;
    match collector.folder(&root, b"", Some(&base), false) {
        Ok(()) => collector.links_through_links(&base),
        Err(Stop::Exceeded(bound)) => collector.found.exceeded = Some(bound),
        Err(Stop::Failed(error)) => return Err(error),
    }
    let mut found = collector.found;
    found.entries.sort_by(|one, other| one.path.as_bytes().cmp(other.path.as_bytes()));
    found.refused.sort_by(|one, other| (&one.path, one.reason).cmp(&(&other.path, other.reason)));
    Ok(found)
}

/// Why the walk ends before its end.
pub(super) enum Stop {
    Exceeded(Exceeded),
    Failed(CollectError),
}

impl<E: Into<CollectError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

pub(super) struct Collector<'a> {
    pub(super) request: &'a CollectRequest<'a>,
    pub(super) odb: Odb<'a>,
    declared: BTreeSet<&'a [u8]>,
    rules: IgnoreRules,
    looked_at: u64,
    bytes: u64,
    /// Holds each changed link with the path that it leads to.
    pub(super) links: Vec<(String, String)>,
    pub(super) found: Changeset,
}

/// One entry of the checkout beside what the base commit holds under its name.
pub(super) struct Entry<'e, 't> {
    pub(super) dir: &'e OwnedFd,
    pub(super) name: &'e [u8],
    pub(super) path: &'e [u8],
    pub(super) stat: Stat,
    pub(super) base: Option<&'e TreeEntry<'t>>,
}

impl Entry<'_, '_> {
    pub(super) fn base_is(&self, kind: ObjectType) -> bool {
        self.base.and_then(TreeEntry::kind) == Some(kind)
    }
}

impl Collector<'_> {
    /// Walks one folder; `ignored` tells that the rules name it or a folder above it.
    fn folder(
        &mut self,
        dir: &OwnedFd,
        path: &[u8],
        base: Option<&Tree<'_>>,
        ignored: bool,
    ) -> Result<(), Stop> {
        let limit = self.request.limits.entries;
        let names = match handles::names(dir, limit.saturating_sub(self.looked_at)) {
            Ok(Some(names)) => names,
            Ok(None) => return Err(Stop::Exceeded(Exceeded::Entries(limit))),
            Err(error) => return self.unopened(path, error),
        };
        self.looked_at += names.len() as u64;
        self.rules.enter(self.request.repository, base, if path.is_empty() { 0 } else { path.len() + 1 });
        for name in &names {
            let name = name.as_bytes();
            if path.is_empty() && name == b".git" {
                continue;
            }
            let base = base.and_then(|tree| entry_named(tree, name));
            self.entry(dir, name, &joined(path, name), base.as_ref(), ignored)?;
        }
        for entry in base.into_iter().flat_map(Tree::iter) {
            let name = entry.name_bytes();
            if names.binary_search_by(|found| found.as_bytes().cmp(name)).is_err() {
                self.gone(&joined(path, name), &entry)?;
            }
        }
        self.rules.leave();
        Ok(())
    }

    fn entry(
        &mut self,
        dir: &OwnedFd,
        name: &[u8],
        path: &[u8],
        base: Option<&TreeEntry<'_>>,
        ignored: bool,
    ) -> Result<(), Stop> {
        let stat = match handles::stat(dir, name) {
            Ok(stat) => stat,
            Err(error) => return self.unopened(path, error),
        };
        let entry = Entry { dir, name, path, stat, base };
        let is_dir = handles::kind(&entry.stat) == FileType::Directory;
        let ignored = ignored || self.rules.matches(path, is_dir);
        if is_dir {
            return self.subfolder(&entry, ignored);
        }
        if let Some(base) = base.filter(|_| entry.base_is(ObjectType::Tree)) {
            self.gone(path, base)?;
        }
        let tracked = base.is_some() && !entry.base_is(ObjectType::Tree);
        let ignored = ignored || self.request.aside.iter().any(|aside| aside.as_bytes() == path);
        if ignored && !tracked && !self.declared.contains(path) {
            self.found.ignored += 1;
            return Ok(());
        }
        match handles::kind(&entry.stat) {
            FileType::RegularFile => self.file(&entry),
            FileType::Symlink => self.link(&entry),
            FileType::Fifo => self.refuse(path, RefusalReason::Fifo),
            FileType::Socket => self.refuse(path, RefusalReason::Socket),
            _ => self.refuse(path, RefusalReason::Device),
        }
    }

    fn subfolder(&mut self, entry: &Entry<'_, '_>, ignored: bool) -> Result<(), Stop> {
        let path = entry.path;
        let tree = match entry.base {
            Some(base) if entry.base_is(ObjectType::Tree) => {
                Some(self.request.repository.find_tree(base.id())?)
            }
            Some(base) if entry.base_is(ObjectType::Blob) => {
                self.gone(path, base)?;
                None
            }
            _ => None,
        };
        if tree.is_none() && ignored && !self.is_declared_below(path) && !entry.base_is(ObjectType::Commit) {
            self.found.ignored += 1;
            return Ok(());
        }
        // A tracked folder's odd name is no change; its depth still costs a handle a level.
        let depth = path.iter().filter(|byte| **byte == b'/').count();
        match names::check_path(path) {
            Err(reason) if tree.is_none() || depth > MAX_DEPTH => return self.refuse(path, reason),
            _ => {}
        }
        let dir = match handles::open_dir(entry.dir, entry.name) {
            Ok(dir) => dir,
            Err(error) => return self.unopened(path, error),
        };
        if entry.base_is(ObjectType::Commit) {
            return match handles::names(&dir, 0) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => self.refuse(path, RefusalReason::InSubmodule),
                Err(error) => self.unopened(path, error),
            };
        }
        self.folder(&dir, path, tree.as_ref(), ignored)
    }

    /// Notes that a path of the base commit is gone, with everything below it.
    fn gone(&mut self, path: &[u8], base: &TreeEntry<'_>) -> Result<(), Stop> {
        if base.kind() == Some(ObjectType::Tree) {
            let tree = self.request.repository.find_tree(base.id())?;
            for entry in &tree {
                self.gone(&joined(path, entry.name_bytes()), &entry)?;
            }
            return Ok(());
        }
        match names::check_path(path) {
            Ok(path) => self.change(path, ChangeKind::Deleted, None),
            Err(reason) => self.refuse(path, reason),
        }
    }

    fn is_declared_below(&self, folder: &[u8]) -> bool {
        let below = joined(folder, b"");
        self.declared.range(below.as_slice()..).next().is_some_and(|path| path.starts_with(&below))
    }

    pub(super) fn change(
        &mut self,
        path: &str,
        kind: ChangeKind,
        content: Option<(FileMode, BlobId, u64)>,
    ) -> Result<(), Stop> {
        self.count()?;
        if let Some(reason) = self.request.contract.protected.refuses(path) {
            self.also(path, reason);
        }
        self.found.entries.push(Change {
            path: path.to_owned(),
            kind,
            mode: content.map(|(mode, _, _)| mode),
            blob: content.map(|(_, blob, _)| blob),
            size: content.map_or(0, |(_, _, size)| size),
        });
        Ok(())
    }

    pub(super) fn refuse(&mut self, path: &[u8], reason: RefusalReason) -> Result<(), Stop> {
        self.count()?;
        self.found.refused.push(refusal(path, reason));
        Ok(())
    }

    /// Refuses a path that is shown all the same.
    pub(super) fn also(&mut self, path: &str, reason: RefusalReason) {
        self.found.refused.push(refusal(path.as_bytes(), reason));
    }

    pub(super) fn unopened(&mut self, path: &[u8], error: Errno) -> Result<(), Stop> {
        match handles::reason(error) {
            Some(reason) => self.refuse(path, reason),
            None => Err(Stop::Failed(failed(path, error))),
        }
    }

    fn count(&self) -> Result<(), Stop> {
        let limit = self.request.limits.changed_files;
        if self.found.entries.len() + self.found.refused.len() >= limit {
            return Err(Stop::Exceeded(Exceeded::Files(limit)));
        }
        Ok(())
    }

    pub(super) fn spend(&mut self, size: u64) -> Result<(), Stop> {
        let limit = self.request.limits.changed_bytes;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > limit { Err(Stop::Exceeded(Exceeded::Bytes(limit))) } else { Ok(()) }
    }
}

pub(super) fn refusal(path: &[u8], reason: RefusalReason) -> Refusal {
    Refusal { path: names::printable(path), reason }
}

pub(super) fn failed(path: &[u8], error: Errno) -> CollectError {
    CollectError::Checkout { path: names::printable(path), error: error.into() }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn entry_named<'t>(tree: &'t Tree<'_>, name: &[u8]) -> Option<TreeEntry<'t>> {
    // git2 looks names up as text only; the few others are searched for.
    match std::str::from_utf8(name) {
        Ok(name) => tree.get_name(name),
        Err(_) => tree.iter().find(|entry| entry.name_bytes() == name),
    }
}
