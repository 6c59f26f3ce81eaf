//! Makes a run's checkout: before any step runs, without a credential, and never touched by git
//! again once steps ran.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::run::changeset::CommitId;
use crate::run::git_command::{Git, GitError};
use crate::run::mirror::{Mirror, branch_ref};
use crate::run::workspace::RunDirs;

/// Is the path at which a lane shows the mirror's objects to steps, read-only.
pub const SANDBOX_OBJECTS: &str = "/opt/codex-brief/objects";

/// Bounds each call of git, so that a huge repository is an error and no standstill.
const CHECKOUT: Duration = Duration::from_secs(900);

/// Wins over every `.gitattributes`: files appear as they are stored, and no filter is asked for.
const ATTRIBUTES: &str = "* -text -filter -ident -eol -working-tree-encoding\n";

/// Makes the checkout of a commit in [`RunDirs::checkout`], on a local branch of the given name. Git
/// works inside it once the mirror's objects are visible at [`SANDBOX_OBJECTS`]; it knows no remote.
/// Submodules stay empty folders, and files in Git LFS stay pointers.
///
/// # Errors
/// Fails for a commit that the mirror lacks, for a text that is no branch name, and when git fails.
pub async fn checkout(
    mirror: &Mirror,
    commit: CommitId,
    branch: &str,
    dirs: &RunDirs,
) -> Result<(), GitError> {
    if branch_ref(branch).is_none() {
        return Err(GitError::Refused(format!("{branch:?} is no branch name")));
    }
    mirror.repository()?.find_commit(commit.oid())?;
    // Marked as the run's, so that a start after a crash finds a git that still works.
    let run = dirs.root.file_name().unwrap_or_default();
    let git = |what| Git::new(what, mirror.home(), "", CHECKOUT).env("CODEX_BRIEF_RUN", run);
    git("init")
        .args(["--quiet", "--template=", "--object-format=sha1", &format!("--initial-branch={branch}")])
        .args(["--end-of-options".as_ref(), dirs.checkout.as_os_str()])
        .run()
        .await?;
    let inside = dirs.checkout.join(".git");
    let objects = mirror.objects_path();
    write(&inside.join("objects/info/alternates"), &alternates(&objects)?)?;
    write(&inside.join("info/attributes"), ATTRIBUTES)?;
    let shallow = mirror.path().join("shallow");
    if shallow.exists() {
        fs::copy(&shallow, inside.join("shallow")).map_err(|error| GitError::files(&shallow, error))?;
    }
    // The lane may hand the files to another user, which changes what the index knows of them.
    for (key, value) in [("core.trustctime", "false"), ("core.checkStat", "minimal"), ("gc.auto", "0")] {
        git("config")
            .args(["--file".as_ref(), inside.join("config").as_os_str()])
            .args([key, value])
            .run()
            .await?;
    }
    git("reset")
        .env("GIT_DIR", &inside)
        .env("GIT_WORK_TREE", &dirs.checkout)
        .args(["--hard", "--quiet", &commit.to_string()])
        .run()
        .await?;
    write(&inside.join("objects/info/alternates"), &format!("{SANDBOX_OBJECTS}\n"))
}

fn alternates(objects: &Path) -> Result<String, GitError> {
    match objects.to_str() {
        Some(path) if !path.contains('\n') && !path.starts_with('"') => Ok(format!("{path}\n")),
        _ => Err(GitError::Refused("the state directory's path is not plain UTF-8".into())),
    }
}

fn write(path: &Path, text: &str) -> Result<(), GitError> {
    let parent = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    written.map_err(|error| GitError::files(path, error))
}
