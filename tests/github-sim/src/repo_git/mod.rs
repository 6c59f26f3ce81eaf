//! What is read from and written to the bare repositories in-process.

mod diff;
mod objects;

pub use diff::FileDiff;
pub(crate) use diff::{commit_diff, diff};
pub(crate) use objects::{
    NewCommit, NewEntry, blob, goes_on_from, list, make_commit, object, read_blob, tree,
};

use crate::model::Time;
use chrono::DateTime;
use git2::{BranchType, Commit, FileMode, ObjectType, Oid, Repository, Signature};
use serde::Serialize;
use std::path::Path;

/// Describes one commit.
#[derive(Clone, Debug, Serialize)]
pub struct CommitInfo {
    /// The commit's id.
    pub sha: String,
    /// The tree's id.
    pub tree: String,
    /// Ids of the parents.
    pub parents: Vec<String>,
    /// The whole message.
    pub message: String,
    /// Name and e-mail of the author.
    pub author: (String, String),
    /// Name and e-mail of the committer.
    pub committer: (String, String),
    /// When it was committed.
    pub committed_at: Time,
    /// When it was authored.
    pub authored_at: Time,
    /// GitHub's own signature and what it is over, where GitHub made the commit and signed it.
    pub signature: Option<(String, String)>,
}

/// A pre-receive hook: refuses pushed commits that touch workflow files unless the token may.
///
/// The receiving git shows the hook the pushed objects in quarantine, so only new commits are looked at.
const PRE_RECEIVE: &str = r#"#!/bin/sh
[ "$GITHUB_SIM_WORKFLOWS" = write ] && exit 0
while read -r old new ref; do
  case "$new" in *[!0]*) ;; *) continue ;; esac
  file=$(git log -m --format= --name-only "$new" --not --all -- .github/workflows/ | head -n 1)
  if [ -n "$file" ]; then
    echo "refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` permission" >&2
    exit 1
  fi
done
"#;

/// An update hook: refuses pushes to branches that match a protected pattern, as GitHub words it.
const UPDATE: &str = r#"#!/bin/sh
printf '%s\n' "$GITHUB_SIM_PROTECTED" | while read -r pattern; do
  [ -n "$pattern" ] || continue
  case "$1" in
    refs/heads/$pattern)
      echo "error: GH006: Protected branch update failed for $1." >&2
      echo "error: Changes must be made through a pull request. (protected branch hook declined)" >&2
      exit 1 ;;
  esac
done
"#;

/// Makes an empty bare repository that may be fetched from and pushed to as one on GitHub.
pub(crate) fn init(path: &Path, default_branch: &str) -> anyhow::Result<()> {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).external_template(false).initial_head(default_branch);
    let repo = Repository::init_opts(path, &options)?;
    let mut config = repo.config()?;
    for (key, value) in [
        ("http.receivepack", "true"),
        ("uploadpack.allowAnySHA1InWant", "true"),
        ("uploadpack.allowFilter", "true"),
        ("receive.hideRefs", "refs/pull"),
        ("core.logAllRefUpdates", "false"),
        ("gc.auto", "0"),
    ] {
        config.set_str(key, value)?;
    }
    std::fs::create_dir_all(path.join("hooks"))?;
    for (name, text) in [("pre-receive", PRE_RECEIVE), ("update", UPDATE)] {
        use std::os::unix::fs::PermissionsExt;
        let hook = path.join("hooks").join(name);
        std::fs::write(&hook, text)?;
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// One file to be committed; `None` as content removes it.
pub(crate) struct Change {
    pub(crate) path: String,
    pub(crate) content: Option<Vec<u8>>,
    pub(crate) mode: FileMode,
}

impl Change {
    pub(crate) fn text(path: &str, content: &str) -> Self {
        Self { path: path.to_owned(), content: Some(content.as_bytes().to_vec()), mode: FileMode::Blob }
    }
}

/// Commits changes onto a branch, which starts at `from` when it does not exist yet.
pub(crate) fn commit_changes(
    path: &Path,
    branch: &str,
    from: Option<&str>,
    changes: Vec<Change>,
    message: &str,
    author: (&str, &str),
) -> Result<String, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let refname = format!("refs/heads/{branch}");
    let parent = [Some(refname.as_str()), from]
        .into_iter()
        .flatten()
        .find_map(|name| repo.revparse_single(name).ok()?.peel_to_commit().ok());
    let empty = repo.treebuilder(None)?.write()?;
    let baseline = match &parent {
        Some(commit) => commit.tree()?,
        None => repo.find_tree(empty)?,
    };
    let mut update = git2::build::TreeUpdateBuilder::new();
    for change in changes {
        match change.content {
            Some(content) => update.upsert(change.path, repo.blob(&content)?, change.mode),
            None => update.remove(change.path),
        };
    }
    let tree = repo.find_tree(update.create_updated(&repo, &baseline)?)?;
    let signature = Signature::now(author.0, author.1)?;
    let parents: Vec<&Commit<'_>> = parent.iter().collect();
    let id = repo.commit(None, &signature, &signature, message, &tree, &parents)?;
    repo.reference(&refname, id, true, "commit")?;
    Ok(id.to_string())
}

/// Reads a folder as changes, without its `.git`; links stay links.
pub(crate) fn changes_from_dir(dir: &Path) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if entry.file_name() == ".git" {
                continue;
            }
            let relative = path.strip_prefix(dir)?.to_string_lossy().into_owned();
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_symlink() {
                let target = std::fs::read_link(&path)?.to_string_lossy().into_owned();
                let content = Some(target.into_bytes());
                changes.push(Change { path: relative, content, mode: FileMode::Link });
            } else if kind.is_file() {
                let mode =
                    if executable(&entry.metadata()?) { FileMode::BlobExecutable } else { FileMode::Blob };
                changes.push(Change { path: relative, content: Some(std::fs::read(&path)?), mode });
            }
        }
    }
    Ok(changes)
}

fn executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

/// Lists the branches and the commits that they are at, by name.
pub(crate) fn branches(path: &Path) -> Result<Vec<(String, String)>, git2::Error> {
    Ok(refs(path, "refs/heads/")?
        .into_iter()
        .filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?.to_owned(), sha)))
        .collect())
}

/// Lists the refs whose full name starts so, by name.
pub(crate) fn refs(path: &Path, prefix: &str) -> Result<Vec<(String, String)>, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let mut found = Vec::new();
    for reference in repo.references()? {
        let reference = reference?;
        let (Ok(name), Some(target)) = (reference.name(), reference.target()) else { continue };
        if name.starts_with(prefix) {
            found.push((name.to_owned(), target.to_string()));
        }
    }
    found.sort();
    Ok(found)
}

/// Finds the commit of a branch.
pub(crate) fn branch_tip(path: &Path, branch: &str) -> Option<String> {
    let repo = Repository::open_bare(path).ok()?;
    let branch = repo.find_branch(branch, BranchType::Local).ok()?;
    branch.get().peel_to_commit().ok().map(|commit| commit.id().to_string())
}

/// Points a ref at a commit, or removes it.
pub(crate) fn set_ref(path: &Path, name: &str, sha: Option<&str>) -> Result<(), git2::Error> {
    let repo = Repository::open_bare(path)?;
    match sha {
        Some(sha) => repo.reference(name, Oid::from_str(sha)?, true, "set by the simulator").map(drop),
        None => repo.find_reference(name)?.delete(),
    }
}

/// Resolves a branch, tag, full ref name or id to a commit, branches first as GitHub does.
fn resolve<'r>(repo: &'r Repository, name: &str) -> Result<Commit<'r>, git2::Error> {
    for candidate in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/{name}")] {
        if let Ok(reference) = repo.find_reference(&candidate) {
            return reference.peel_to_commit();
        }
    }
    match name.starts_with("refs/") {
        true => repo.find_reference(name)?.peel_to_commit(),
        false => repo.find_commit_by_prefix(name),
    }
}

/// Reads a file at a ref; `None` when the ref, or a file at the path, is missing.
pub(crate) fn file_at(path: &Path, refname: &str, file: &str) -> Option<Vec<u8>> {
    let repo = Repository::open_bare(path).ok()?;
    let tree = resolve(&repo, refname).ok()?.tree().ok()?;
    let blob = tree.get_path(Path::new(file)).ok()?.to_object(&repo).ok()?.peel_to_blob().ok()?;
    Some(blob.content().to_vec())
}

/// What lies at a path: name, full path, mode, kind and id; one entry for a file, many for a folder.
pub(crate) enum Contents {
    /// A file with its bytes.
    File(Entry, Vec<u8>),
    /// A folder with its entries.
    Folder(Vec<Entry>),
}

/// One entry of a tree.
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) sha: String,
    pub(crate) kind: &'static str,
    pub(crate) size: usize,
}

/// Reads the file or folder at a path of a ref.
pub(crate) fn contents(path: &Path, refname: &str, at: &str) -> Option<Contents> {
    let repo = Repository::open_bare(path).ok()?;
    let root = resolve(&repo, refname).ok()?.tree().ok()?;
    let entry = |full: String, id: Oid, kind: Option<ObjectType>, mode: i32| Entry {
        path: full,
        sha: id.to_string(),
        kind: match kind {
            Some(ObjectType::Tree) => "dir",
            Some(ObjectType::Commit) => "submodule",
            _ if mode == 0o120_000 => "symlink",
            _ => "file",
        },
        size: repo.find_blob(id).map(|blob| blob.content().len()).unwrap_or(0),
    };
    let found = if at.is_empty() { None } else { Some(root.get_path(Path::new(at)).ok()?) };
    let folder = match &found {
        None => root,
        Some(found) => match found.to_object(&repo).ok()?.into_tree() {
            Ok(tree) => tree,
            Err(object) => {
                let bytes = object.peel_to_blob().ok()?.content().to_vec();
                let entry = entry(at.to_owned(), found.id(), found.kind(), found.filemode());
                return Some(Contents::File(entry, bytes));
            }
        },
    };
    let prefix = if at.is_empty() { String::new() } else { format!("{at}/") };
    let list = folder.iter().filter_map(|item| {
        let full = format!("{prefix}{}", item.name().ok()?);
        Some(entry(full, item.id(), item.kind(), item.filemode()))
    });
    Some(Contents::Folder(list.collect()))
}

/// Reads one commit.
pub(crate) fn commit(path: &Path, refname: &str) -> Result<CommitInfo, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let found = resolve(&repo, refname)?;
    Ok(info(&repo, &found))
}

fn info(repo: &Repository, commit: &Commit<'_>) -> CommitInfo {
    let person = |who: Signature<'_>| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(who.name_bytes()), text(who.email_bytes()))
    };
    let time = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    CommitInfo {
        sha: commit.id().to_string(),
        tree: commit.tree_id().to_string(),
        parents: commit.parent_ids().map(|id| id.to_string()).collect(),
        message: String::from_utf8_lossy(commit.message_bytes()).into_owned(),
        authored_at: time(commit.author().when().seconds()),
        committed_at: time(commit.committer().when().seconds()),
        author: person(commit.author()),
        committer: person(commit.committer()),
        signature: objects::own_signature(repo, commit),
    }
}

/// Finds the commit that two commits share; `None` when they share none.
pub(crate) fn merge_base(path: &Path, one: &str, other: &str) -> Option<String> {
    let repo = Repository::open_bare(path).ok()?;
    let base = repo.merge_base(Oid::from_str(one).ok()?, Oid::from_str(other).ok()?).ok()?;
    Some(base.to_string())
}

/// Lists the commits that are in `head` and not in `base`, oldest first.
pub(crate) fn commits_between(path: &Path, base: &str, head: &str) -> Result<Vec<CommitInfo>, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let mut walk = repo.revwalk()?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE)?;
    walk.push(Oid::from_str(head)?)?;
    walk.hide(Oid::from_str(base)?)?;
    walk.map(|id| Ok(info(&repo, &repo.find_commit(id?)?))).collect()
}

/// Lists the newest commits reachable from a ref.
pub(crate) fn history(path: &Path, refname: &str, most: usize) -> Result<Vec<CommitInfo>, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let mut walk = repo.revwalk()?;
    walk.push(resolve(&repo, refname)?.id())?;
    walk.take(most).map(|id| Ok(info(&repo, &repo.find_commit(id?)?))).collect()
}

/// Merges a head into a branch with a merge commit and gives its id; `None` on conflict.
pub(crate) fn merge(
    path: &Path,
    branch: &str,
    head: &str,
    message: &str,
    author: (&str, &str),
) -> Result<Option<String>, git2::Error> {
    let repo = Repository::open_bare(path)?;
    let ours = resolve(&repo, branch)?;
    let theirs = repo.find_commit(Oid::from_str(head)?)?;
    let mut index = repo.merge_commits(&ours, &theirs, None)?;
    if index.has_conflicts() {
        return Ok(None);
    }
    let tree = repo.find_tree(index.write_tree_to(&repo)?)?;
    let who = Signature::now(author.0, author.1)?;
    let refname = format!("refs/heads/{branch}");
    let id = repo.commit(Some(&refname), &who, &who, message, &tree, &[&ours, &theirs])?;
    Ok(Some(id.to_string()))
}
