//! Mirrors: one bare repository for each repository that is worked on, fetched with the git command.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use git2::{Repository, RepositoryInitMode, RepositoryInitOptions};
use secrecy::SecretString;

use crate::run::changeset::CommitId;
use crate::run::git_command::Git;

pub use crate::run::git_command::GitError;
pub use crate::run::push::PushOutcome;

/// Bounds a fetch; the first of a large repository takes minutes.
const FETCH: Duration = Duration::from_secs(900);

/// Holds the settings under which a repository on this machine is read.
const LOCAL_SETTINGS: &str = "[safe]\n\tdirectory = *\n[core]\n\thooksPath = /dev/null\n";

/// Where a mirror comes from and where branches go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    pub(super) url: String,
    /// Holds the folder, for a repository on this machine.
    pub(super) local: Option<PathBuf>,
}

impl Remote {
    /// Names a repository by its `http` or `https` address.
    ///
    /// # Errors
    /// Fails for another scheme, an address that holds a user name or a password, and one with
    /// spaces or control characters.
    pub fn http(url: &str) -> Result<Self, GitError> {
        let refused = |why: &str| Err(GitError::Refused(format!("the repository's address {why}")));
        let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
            return refused("starts with neither https:// nor http://");
        };
        if rest.split('/').next().is_none_or(|host| host.is_empty() || host.contains('@')) {
            return refused("has no host, or holds a user name");
        }
        if url
            .chars()
            .any(|char| char.is_control() || char.is_whitespace() || matches!(char, '\\' | '?' | '#'))
        {
            return refused("holds a character that does not belong there");
        }
        Ok(Self { url: url.to_owned(), local: None })
    }

    /// Names a repository on this machine, whose owner asked for the work.
    ///
    /// # Errors
    /// Fails where the path leads to no repository, or to one of another owner that the user's git
    /// settings do not name as safe.
    pub fn local(path: &Path) -> Result<Self, GitError> {
        let path = path.canonicalize().map_err(|error| GitError::files(path, error))?;
        let repository = Repository::open(&path)?;
        let folder = repository.path().canonicalize().map_err(|error| GitError::files(&path, error))?;
        match folder.to_str() {
            Some(url) if !url.chars().any(char::is_control) => {
                Ok(Self { url: url.to_owned(), local: Some(folder) })
            }
            _ => Err(GitError::Refused("the repository's path is not plain UTF-8".into())),
        }
    }

    pub(super) fn protocols(&self) -> &'static str {
        if self.local.is_some() { "file" } else { "https:http" }
    }
}

/// The folder of all mirrors.
#[derive(Debug)]
pub struct Mirrors {
    root: PathBuf,
    open: Mutex<HashMap<u64, Arc<Mirror>>>,
}

impl Mirrors {
    /// Opens the folder, which is made where it is missing; only the server's user can enter it.
    ///
    /// # Errors
    /// Fails where the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, GitError> {
        let root = root.into();
        private_dir(&root)?;
        Ok(Self { root, open: Mutex::default() })
    }

    /// Returns the mirror of a repository by its id on GitHub, made where it is missing. The same
    /// repository has the same mirror, so that its fetches wait for each other.
    ///
    /// # Errors
    /// Fails where the mirror cannot be made or opened.
    pub fn mirror(&self, repository: u64) -> Result<Arc<Mirror>, GitError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mirror) = open.get(&repository) {
            return Ok(mirror.clone());
        }
        let mirror = Arc::new(Mirror::at(&self.root.join(format!("{repository}.git")))?);
        open.insert(repository, mirror.clone());
        Ok(mirror)
    }
}

/// One bare mirror: the heads of a repository, and the commits that are built for it.
#[derive(Debug)]
pub struct Mirror {
    path: PathBuf,
    home: PathBuf,
    turn: tokio::sync::Mutex<()>,
}

impl Mirror {
    /// Opens the mirror in this folder, which is made where it is missing. An empty home folder for
    /// git and a lock file lie beside it.
    ///
    /// # Errors
    /// Fails where the folders cannot be made, or hold something else.
    pub fn at(path: &Path) -> Result<Self, GitError> {
        let parent = path.parent().unwrap_or(Path::new("."));
        private_dir(parent)?;
        let parent = parent.canonicalize().map_err(|error| GitError::files(parent, error))?;
        let path = parent.join(path.file_name().unwrap_or_default());
        let home = parent.join("home");
        private_dir(&home)?;
        // Steps may run as another user, who must read the objects whatever the server's umask; the
        // folder above keeps everybody else out.
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false).initial_head("codex-brief-none");
        options.mode(RepositoryInitMode::from_bits_retain(0o755));
        let repository = Repository::init_opts(&path, &options)?;
        repository.config()?.set_str("core.sharedRepository", "0644")?;
        let mirror = Self { path, home, turn: tokio::sync::Mutex::default() };
        let settings = mirror.local_settings();
        fs::write(&settings, LOCAL_SETTINGS).map_err(|error| GitError::files(&settings, error))?;
        Ok(mirror)
    }

    /// Returns the bare repository's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder of the objects, which a checkout borrows.
    pub fn objects_path(&self) -> PathBuf {
        self.path.join("objects")
    }

    /// Opens the mirror in-process.
    ///
    /// # Errors
    /// Fails where the folder is damaged.
    pub fn repository(&self) -> Result<Repository, GitError> {
        Ok(Repository::open_bare(&self.path)?)
    }

    /// Brings all branches up to date, and drops those that are gone; tags are not fetched. Fetches
    /// of one mirror wait for each other, also across processes.
    ///
    /// # Errors
    /// Fails when git fails or takes longer than 15 minutes; the error's text holds no credential.
    pub async fn fetch(&self, remote: &Remote, token: Option<&SecretString>) -> Result<(), GitError> {
        let _turn = self.turn.lock().await;
        let _lock = self.lock().await?;
        clear_stale_locks(&self.path);
        let mut git = self.git("fetch", remote, FETCH).token(&remote.url, token).args([
            "--quiet",
            "--prune",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--force",
        ]);
        if remote.local.is_some() {
            // A local repository may be a shallow clone.
            git = git.args(["--update-shallow"]);
        }
        git.args(["--end-of-options", &remote.url, "+refs/heads/*:refs/heads/*"]).run().await?;
        Ok(())
    }

    /// Returns the commit that a branch pointed at when it was fetched last.
    ///
    /// # Errors
    /// Fails where the mirror cannot be read; a branch that is not there is no error.
    pub fn resolve_branch(&self, branch: &str) -> Result<Option<CommitId>, GitError> {
        let Some(name) = branch_ref(branch) else { return Ok(None) };
        match self.repository()?.find_reference(&name) {
            Ok(reference) => Ok(Some(reference.peel_to_commit()?.id().into())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn git(&self, what: &'static str, remote: &Remote, limit: Duration) -> Git {
        let git = Git::new(what, &self.home, remote.protocols(), limit).env("GIT_DIR", &self.path);
        match &remote.local {
            // Remote::local has held the owner against the machine's settings already. Only this
            // file reaches the program that serves the other side.
            Some(_) => git.env("GIT_CONFIG_GLOBAL", self.local_settings()),
            None => git,
        }
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    fn local_settings(&self) -> PathBuf {
        self.home.join("local.gitconfig")
    }

    async fn lock(&self) -> Result<File, GitError> {
        let path = self.path.with_extension("lock");
        let locked = tokio::task::spawn_blocking(move || {
            let file = File::options().create(true).truncate(false).write(true).open(&path);
            file.and_then(|file| file.lock().map(|()| file)).map_err(|error| GitError::files(&path, error))
        });
        locked.await.map_err(|error| GitError::Refused(error.to_string()))?
    }
}

/// Returns the full name of a branch, or `None` for text that is no branch name.
pub(super) fn branch_ref(branch: &str) -> Option<String> {
    let name = format!("refs/heads/{branch}");
    (!branch.starts_with('-') && git2::Reference::is_valid_name(&name)).then_some(name)
}

/// Removes the lock files that a killed git left; nobody else writes while the lock is held.
fn clear_stale_locks(mirror: &Path) {
    let mut folders = vec![mirror.join("refs")];
    for name in ["packed-refs.lock", "shallow.lock", "config.lock", "HEAD.lock"] {
        let _ = fs::remove_file(mirror.join(name));
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            } else if entry.path().extension().is_some_and(|extension| extension == "lock") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn private_dir(path: &Path) -> Result<(), GitError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| GitError::files(path, error))
}
