//! Git's objects one by one, as the API makes them: blobs, trees and commits that no branch points at yet.

use git2::{Commit, ObjectType, Oid, Repository, Signature, Tree};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Is what the simulated GitHub seals its own commits with: whoever pushes a commit with another one has none that holds.
const SEAL: &str = "the simulated GitHub's own seal";

/// One entry of a new tree; `None` as object removes the path.
pub(crate) struct NewEntry {
    pub(crate) path: String,
    pub(crate) mode: i32,
    pub(crate) object: Option<Oid>,
}

/// One entry of a tree, as it lies there.
pub(crate) struct Listed {
    pub(crate) path: String,
    pub(crate) mode: i32,
    pub(crate) kind: &'static str,
    pub(crate) sha: String,
    pub(crate) size: Option<usize>,
}

/// What a new commit is made of.
pub(crate) struct NewCommit<'a> {
    pub(crate) message: &'a str,
    pub(crate) tree: &'a str,
    pub(crate) parents: &'a [String],
    pub(crate) author: (&'a str, &'a str),
    pub(crate) committer: (&'a str, &'a str),
    pub(crate) signed: bool,
}

/// Writes a blob.
pub(crate) fn blob(path: &Path, content: &[u8]) -> Result<String, git2::Error> {
    Ok(Repository::open_bare(path)?.blob(content)?.to_string())
}

/// Reads a blob.
pub(crate) fn read_blob(path: &Path, sha: &str) -> Option<Vec<u8>> {
    let repo = Repository::open_bare(path).ok()?;
    let blob = repo.find_blob(Oid::from_str(sha).ok()?).ok()?;
    Some(blob.content().to_vec())
}

/// Tells whether an object is there; `None` for what is no name of one.
pub(crate) fn object(path: &Path, sha: &str) -> Option<Oid> {
    let repo = Repository::open_bare(path).ok()?;
    let id = Oid::from_str(sha).ok().filter(|_| sha.len() == 40)?;
    repo.odb().ok()?.exists(id).then_some(id)
}

/// Writes a tree from another one (or none) and entries, and gives its name; folders that become empty are gone.
pub(crate) fn tree(path: &Path, base: Option<&str>, entries: Vec<NewEntry>) -> Result<String, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let empty = repo.treebuilder(None)?.write()?;
    let base = match base {
        Some(sha) => peeled(&repo, sha)?,
        None => repo.find_tree(empty)?,
    };
    let mut update = git2::build::TreeUpdateBuilder::new();
    for entry in entries {
        match entry.object {
            Some(id) => update.upsert(entry.path, id, mode(entry.mode)?),
            None => update.remove(entry.path),
        };
    }
    Ok(update.create_updated(&repo, &base)?.to_string())
}

/// Finds a tree by its own name or that of a commit.
fn peeled<'r>(repo: &'r Repository, sha: &str) -> Result<Tree<'r>, git2::Error> {
    repo.find_object(Oid::from_str(sha)?, None)?.peel_to_tree()
}

fn mode(mode: i32) -> Result<git2::FileMode, git2::Error> {
    Ok(match mode {
        0o100_644 => git2::FileMode::Blob,
        0o100_755 => git2::FileMode::BlobExecutable,
        0o120_000 => git2::FileMode::Link,
        0o040_000 => git2::FileMode::Tree,
        0o160_000 => git2::FileMode::Commit,
        _ => return Err(git2::Error::from_str("no mode of git's")),
    })
}

/// Lists the entries of a tree, not those of its folders.
pub(crate) fn list(path: &Path, sha: &str) -> Option<(String, Vec<Listed>)> {
    let repo = Repository::open_bare(path).ok()?;
    let tree = peeled(&repo, sha).ok()?;
    let entries = tree.iter().filter_map(|entry| {
        let (kind, size) = match entry.kind()? {
            ObjectType::Tree => ("tree", None),
            ObjectType::Commit => ("commit", None),
            _ => ("blob", Some(repo.find_blob(entry.id()).ok()?.size())),
        };
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        Some(Listed { path: name, mode: entry.filemode(), kind, sha: entry.id().to_string(), size })
    });
    let entries = entries.collect();
    Some((tree.id().to_string(), entries))
}

/// Writes a commit that no branch points at, and gives its name.
pub(crate) fn make_commit(path: &Path, new: &NewCommit<'_>) -> Result<String, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let tree = repo.find_tree(Oid::from_str(new.tree)?)?;
    let parents =
        new.parents.iter().map(|sha| repo.find_commit(Oid::from_str(sha)?)).collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    let author = Signature::now(new.author.0, new.author.1)?;
    let committer = Signature::now(new.committer.0, new.committer.1)?;
    if !new.signed {
        return Ok(repo.commit(None, &author, &committer, new.message, &tree, &parents)?.to_string());
    }
    let text = repo.commit_create_buffer(&author, &committer, new.message, &tree, &parents)?;
    let text = std::str::from_utf8(&text).map_err(|_| git2::Error::from_str("the commit is not UTF-8"))?;
    Ok(repo.commit_signed(text, &seal(text.as_bytes()), None)?.to_string())
}

/// Gives the signature of a commit that the simulated GitHub made itself, and what it is over.
pub(super) fn own_signature(repo: &Repository, commit: &Commit<'_>) -> Option<(String, String)> {
    let (signature, signed) = repo.extract_signature(&commit.id(), None).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (signature, signed) = (text(&signature), text(&signed));
    (signature.trim_end() == seal(signed.as_bytes()).trim_end()).then_some((signature, signed))
}

fn seal(text: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(SEAL);
    hash.update(text);
    let seal = hex::encode(hash.finalize());
    format!("-----BEGIN PGP SIGNATURE-----\n\n{seal}\n-----END PGP SIGNATURE-----\n")
}

/// Tells whether a commit has another in its history, or is it.
pub(crate) fn goes_on_from(path: &Path, commit: &str, before: &str) -> bool {
    let Ok(repo) = Repository::open_bare(path) else { return false };
    match (Oid::from_str(commit), Oid::from_str(before)) {
        (Ok(commit), Ok(before)) => {
            commit == before || repo.graph_descendant_of(commit, before).unwrap_or(false)
        }
        _ => false,
    }
}
