//! Puts one commit on a new branch of the remote, and never moves a branch that is there.

use std::time::Duration;

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository};
use secrecy::SecretString;

use crate::crash;
use crate::run::changeset::CommitId;
use crate::run::git_command::GitError;
use crate::run::mirror::{Mirror, Remote, branch_ref};

/// Bounds a look at the remote's branches.
const LOOK: Duration = Duration::from_secs(60);
/// Bounds a push.
const PUSH: Duration = Duration::from_secs(300);

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The branch was made.
    Pushed,
    /// The branch was there, with this very commit: an earlier push had reached the remote.
    AlreadyThere,
    /// The branch was there with another commit, and was left alone.
    Conflict {
        /// Names the commit that the branch points at.
        found: String,
    },
    /// The remote does not take the branch: a rule, a hook or a permission is against it.
    Rejected {
        /// Holds the remote's words.
        reason: String,
    },
}

impl Mirror {
    /// Makes a branch at the remote that points at a commit of this mirror. Safe to repeat: what is
    /// there already is looked up first, and again when the answer was lost.
    ///
    /// A repository on this machine gets the objects and the branch directly, so that none of its
    /// hooks runs.
    ///
    /// # Errors
    /// Fails when the remote cannot be reached or asked; nothing is known to be pushed then.
    pub async fn push(
        &self,
        remote: &Remote,
        token: Option<&SecretString>,
        commit: CommitId,
        branch: &str,
    ) -> Result<PushOutcome, GitError> {
        self.push_onto(remote, token, (commit, None), branch).await
    }

    /// As [`Self::push`]; a branch that is at the second commit, which must be in the history of the first, goes on
    /// to it.
    ///
    /// # Errors
    /// As [`Self::push`]; a repository on this machine has no branch that goes on.
    pub async fn push_onto(
        &self,
        remote: &Remote,
        token: Option<&SecretString>,
        (commit, onto): (CommitId, Option<CommitId>),
        branch: &str,
    ) -> Result<PushOutcome, GitError> {
        let onto = onto.map(|onto| onto.to_string());
        let name =
            branch_ref(branch).ok_or_else(|| GitError::Refused(format!("{branch:?} is no branch name")))?;
        if let Some(path) = &remote.local {
            let (from, to) = (self.path().to_owned(), path.clone());
            let local =
                move || push_local(&Repository::open_bare(from)?, &Repository::open(to)?, commit, &name);
            let done = tokio::task::spawn_blocking(local).await;
            return done.map_err(|error| GitError::Refused(error.to_string()))?;
        }
        let found = self.look_up(remote, token, &name).await?;
        if let Some(found) = found.filter(|found| Some(found) != onto.as_ref()) {
            return Ok(known(found, commit, PushOutcome::AlreadyThere));
        }
        crash::point("branch-pushed.before-effect");
        let pushed = self
            .git("push", remote, PUSH)
            .token(&remote.url, token)
            .args(["--porcelain", "--no-verify", "--no-follow-tags", "--no-signed"])
            // An empty expectation: the branch must not exist.
            .args([format!("--force-with-lease={name}:{}", onto.as_deref().unwrap_or_default())])
            .args(["--end-of-options", &remote.url, &format!("{commit}:{name}")])
            .output()
            .await;
        if let Ok(output) = &pushed
            && output.status.success()
        {
            return Ok(PushOutcome::Pushed);
        }
        // Whatever went wrong, what the remote has now decides.
        let found = self.look_up(remote, token, &name).await?;
        if let Some(found) = found.filter(|found| Some(found) != onto.as_ref()) {
            return Ok(known(found, commit, PushOutcome::Pushed));
        }
        let output = pushed?;
        match rejection(&output.stdout, &output.stderr) {
            Some(reason) => Ok(PushOutcome::Rejected { reason }),
            None => Err(GitError::Failed { what: "push", status: output.status, said: output.stderr }),
        }
    }

    async fn look_up(
        &self,
        remote: &Remote,
        token: Option<&SecretString>,
        name: &str,
    ) -> Result<Option<String>, GitError> {
        let output = self
            .git("ls-remote", remote, LOOK)
            .token(&remote.url, token)
            .args(["--quiet", "--refs", "--end-of-options", &remote.url, name])
            .run()
            .await?;
        // The pattern also finds names that only end in it.
        let found = output.stdout.lines().filter_map(|line| line.split_once('\t'));
        Ok(found.filter(|(_, found)| *found == name).map(|(id, _)| id.to_owned()).next())
    }
}

fn known(found: String, commit: CommitId, same: PushOutcome) -> PushOutcome {
    if found == commit.to_string() { same } else { PushOutcome::Conflict { found } }
}

/// Finds the remote's refusal in what `git push --porcelain` printed: a line
/// `!<tab>from:to<tab>[remote rejected] (reason)`, and the remote's own words before it.
fn rejection(stdout: &str, stderr: &str) -> Option<String> {
    let line = stdout.lines().find(|line| line.starts_with('!'))?;
    let summary = line.rsplit('\t').next().unwrap_or(line);
    let words = stderr.lines().filter_map(|line| line.strip_prefix("remote: "));
    let words = words.map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    Some(if words.is_empty() { summary.to_owned() } else { format!("{summary} {words}") })
}

/// Copies a commit into another repository and names it; the branch must not exist.
fn push_local(
    from: &Repository,
    to: &Repository,
    commit: CommitId,
    name: &str,
) -> Result<PushOutcome, GitError> {
    let found = |id: Oid| known(id.to_string(), commit, PushOutcome::AlreadyThere);
    match to.refname_to_id(name) {
        Ok(id) => return Ok(found(id)),
        Err(error) if error.code() == ErrorCode::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let (source, target) = (from.odb()?, to.odb()?);
    let object = from.find_commit(commit.oid())?;
    for parent in object.parent_ids() {
        // The mirror was fetched from there, so the base is there.
        target.read_header(parent)?;
    }
    copy_object(from, &source, &target, object.tree_id())?;
    copy_object(from, &source, &target, commit.oid())?;
    match to.reference(name, commit.oid(), false, "codex-brief") {
        Ok(_) => Ok(PushOutcome::Pushed),
        Err(error) if error.code() == ErrorCode::Exists => Ok(found(to.refname_to_id(name)?)),
        // A branch `a` stands where a folder for `a/b` must be, or the other way round.
        Err(error) => Ok(PushOutcome::Rejected { reason: error.message().to_owned() }),
    }
}

/// Copies an object and, for a tree, first what it holds; what the target has is left out.
fn copy_object(from: &Repository, source: &Odb<'_>, target: &Odb<'_>, id: Oid) -> Result<(), GitError> {
    if target.exists(id) {
        return Ok(());
    }
    let object = source.read(id)?;
    if object.kind() == ObjectType::Tree {
        for entry in from.find_tree(id)?.iter().filter(|entry| entry.kind() != Some(ObjectType::Commit)) {
            copy_object(from, source, target, entry.id())?;
        }
    }
    target.write(object.kind(), object.data())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remotes_words_are_told() {
        let stdout = "To https://github.example/o/r\n!\t0123:refs/heads/x\t[remote rejected] (refusing to allow a GitHub App to create or update workflow `.github/workflows/a.yml` without `workflows` permission)\nDone\n";
        let reason = rejection(stdout, "error: failed to push some refs\n").unwrap();
        assert!(reason.starts_with("[remote rejected] (refusing to allow"), "{reason}");
        let reason = rejection(
            "!\ta:b\t[remote rejected] (push declined due to repository rule violations)",
            "remote: error: GH013: Repository rule violations\nremote:\nremote: - Cannot create\n",
        )
        .unwrap();
        assert_eq!(
            reason,
            "[remote rejected] (push declined due to repository rule violations) error: GH013: Repository rule violations - Cannot create"
        );
        assert_eq!(rejection("", "fatal: unable to access"), None);
    }
}
