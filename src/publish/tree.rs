//! Builds a tree from a base tree and changes, object by object: no index, no checkout, no filter.

use std::collections::BTreeMap;
use std::io::Write;

use git2::{ObjectType, Oid, Repository, Tree};

use crate::publish::commit::CommitError;
use crate::run::changeset::{Change, FileMode};
use crate::run::names;
use crate::store::blobs::{BlobId, Blobs};

/// Is git's number for a folder's mode.
const FOLDER: i32 = 0o040_000;

/// What happens at one name of a folder, and below it.
#[derive(Default)]
struct Node {
    here: Option<Here>,
    below: BTreeMap<String, Node>,
}

enum Here {
    Put(FileMode, Oid),
    Delete,
}

/// Returns the tree that comes out when the changes are applied to the base; content is copied from
/// the blobs into the repository first.
pub(super) fn changed_tree(
    repository: &Repository,
    base: &Tree<'_>,
    changes: &[Change],
    blobs: &Blobs,
) -> Result<Oid, CommitError> {
    let mut root = Node::default();
    for change in changes {
        // Checked when it was collected; checked again because it came back from the store.
        names::check_path(change.path.as_bytes())
            .map_err(|reason| CommitError::Refused(format!("{:?} {}", change.path, reason.text())))?;
        let here = match (change.mode, change.blob) {
            (Some(mode), Some(blob)) => Here::Put(mode, store(repository, blobs, &blob, change.size)?),
            (None, None) => Here::Delete,
            _ => return Err(CommitError::Refused(format!("{:?} is half a change", change.path))),
        };
        let node =
            change.path.split('/').fold(&mut root, |node, name| node.below.entry(name.into()).or_default());
        if node.here.replace(here).is_some() {
            return Err(CommitError::Refused(format!("{:?} changes twice", change.path)));
        }
    }
    match folder(repository, Some(base), &root)? {
        Some(tree) => Ok(tree),
        None => Ok(repository.treebuilder(None)?.write()?),
    }
}

/// Writes a folder's tree; `None` for one that is empty, which git does not know.
fn folder(repository: &Repository, base: Option<&Tree<'_>>, node: &Node) -> Result<Option<Oid>, CommitError> {
    let mut builder = repository.treebuilder(base)?;
    for (name, child) in &node.below {
        let was = base.and_then(|tree| tree.get_name(name));
        let was_folder = was.as_ref().is_some_and(|entry| entry.kind() == Some(ObjectType::Tree));
        let subtree = match &was {
            Some(entry) if was_folder => Some(repository.find_tree(entry.id())?),
            _ => None,
        };
        let below = if child.below.is_empty() { None } else { folder(repository, subtree.as_ref(), child)? };
        let conflict = || CommitError::Refused(format!("{name:?} is a file and a folder at once"));
        match (&child.here, below) {
            (Some(Here::Put(..)), Some(_)) => return Err(conflict()),
            // A file in a folder's place: every file of the folder must have been deleted.
            (Some(Here::Put(..)), None) if was_folder && child.below.is_empty() => return Err(conflict()),
            (Some(Here::Put(mode, oid)), None) => {
                builder.insert(name.as_str(), *oid, mode.git())?;
            }
            (None, Some(_)) if was.is_some() && !was_folder => return Err(conflict()),
            (_, Some(tree)) => {
                builder.insert(name.as_str(), tree, FOLDER)?;
            }
            (Some(Here::Delete), None) if was.is_none() || was_folder => {
                return Err(CommitError::Refused(format!("{name:?} is deleted but was no file")));
            }
            (_, None) if was.is_some() => builder.remove(name.as_str())?,
            (_, None) => {}
        }
    }
    Ok(if builder.is_empty() { None } else { Some(builder.write()?) })
}

fn store(repository: &Repository, blobs: &Blobs, blob: &BlobId, size: u64) -> Result<Oid, CommitError> {
    let odb = repository.odb()?;
    let length = usize::try_from(size).map_err(|_| CommitError::Refused("a file is too large".into()))?;
    let mut writer = odb.writer(length, ObjectType::Blob)?;
    let copied = blobs.copy_to(blob, &mut writer)?;
    writer.flush().map_err(|error| CommitError::Blobs(error.into()))?;
    if copied != size {
        return Err(CommitError::Refused(format!("{blob} has another size than the changeset says")));
    }
    Ok(writer.finalize()?)
}
