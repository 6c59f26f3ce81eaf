//! The folder of the credentials: its user's alone, each file of it written whole and on the disk.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::progress::{FORMAT, Progress};
use crate::error::UserError;

/// The name of the file that holds the private key.
pub const KEY: &str = "app.pem";

/// The name of the file that holds the webhook's secret.
pub const SECRET: &str = "webhook-secret";

/// The name of the file that tells how far the set-up is.
const PROGRESS: &str = "setup.json";

/// A folder that one set-up at a time has.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> UserError {
    UserError::new(
        "setup-unwritable",
        format!("{} cannot be written: {error}.", path.display()),
        "Run it as the server's user, or name another place by --credentials and --config.",
    )
}

impl Folder {
    /// Opens the folder, which is made when missing and closed to others.
    ///
    /// Fails with `setup-unwritable`, and with `setup-busy` while another set-up has it.
    pub fn open(path: &Path) -> Result<Self, UserError> {
        let failed = |error: io::Error| unwritable(path, &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)?;
        let lock = File::create(path.join("lock")).map_err(failed)?;
        lock.try_lock().map_err(|_| {
            UserError::new(
                "setup-busy",
                format!("Another set-up has {}.", path.display()),
                "Go on with that one, or end it first.",
            )
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Returns the path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads how far the set-up is; `None` when none was begun. Fails with `setup-unreadable`.
    pub fn progress(&self) -> Result<Option<Progress>, UserError> {
        let file = self.file(PROGRESS);
        let unreadable = |error: &dyn std::fmt::Display| {
            UserError::new(
                "setup-unreadable",
                format!("{} does not tell how far the set-up is: {error}.", file.display()),
                "Run it as the user who began, or begin anew by --replace.",
            )
        };
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&error)),
        };
        let progress: Progress = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
        match progress.format {
            FORMAT => Ok(Some(progress)),
            other => Err(unreadable(&format!("its format is {other}, and this program knows {FORMAT}"))),
        }
    }

    /// Keeps how far the set-up is.
    pub fn keep(&self, progress: &Progress) -> Result<(), UserError> {
        let text = serde_json::to_vec_pretty(progress).map_err(|error| unwritable(&self.path, &error))?;
        self.write(PROGRESS, &text)
    }

    /// Writes a file in the place of another of its name, if there is one; readable by its user alone.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), UserError> {
        let file = self.file(name);
        write(&file, bytes, true).map_err(|error| unwritable(&file, &error))
    }
}

/// Writes a file that is not there yet, readable by its user alone. Fails with `setup-exists` when it is.
pub fn write_new(file: &Path, bytes: &[u8]) -> Result<(), UserError> {
    write(file, bytes, false).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(file),
        _ => unwritable(file, &error),
    })
}

/// Tells whether new files can be made beside a file. Fails with `setup-unwritable`.
pub fn try_beside(file: &Path) -> Result<(), UserError> {
    let folder = folder_of(file);
    tempfile::Builder::new().tempfile_in(folder).map(drop).map_err(|error| unwritable(folder, &error))
}

/// Makes the error for a file that would be written over.
pub fn exists(file: &Path) -> UserError {
    UserError::new(
        "setup-exists",
        format!("{} is there already, and no set-up that was interrupted goes on there.", file.display()),
        "Name another place by --config and --credentials, or begin anew by --replace, which keeps what is there \
         under another name.",
    )
}

/// Gives a file or folder another name, so that its own is free; returns that name if there was anything.
pub fn put_aside(path: &Path, now_s: i64) -> Result<Option<PathBuf>, UserError> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!("{name}.before-{now_s}"));
    std::fs::rename(path, &aside).map_err(|error| unwritable(path, &error))?;
    Ok(Some(aside))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes whole or not at all: a crash leaves what was there before.
fn write(file: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let folder = folder_of(file);
    let mut fresh = tempfile::Builder::new().prefix(".codex-brief-").tempfile_in(folder)?;
    fresh.write_all(bytes)?;
    fresh.as_file().sync_all()?;
    match replace {
        true => fresh.persist(file)?,
        false => fresh.persist_noclobber(file)?,
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::progress::{Plan, Stage, Wish};

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_the_users_alone_and_comes_back() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("credentials");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let folder = Folder::open(&path).unwrap();
        assert!(folder.progress().unwrap().is_none());
        let plan = Plan::new(&Wish::default(), "1").unwrap();
        let kept = Progress { format: FORMAT, plan, stage: Stage::Returned { code: "c".to_owned() } };
        folder.keep(&kept).unwrap();
        folder.write(KEY, b"one").unwrap();
        folder.write(KEY, b"two").unwrap();
        assert_eq!(std::fs::read(folder.file(KEY)).unwrap(), b"two");
        assert_eq!(
            (mode(&path), mode(&folder.file(KEY)), mode(&folder.file(PROGRESS))),
            (0o700, 0o600, 0o600)
        );
        assert!(matches!(folder.progress().unwrap().unwrap().stage, Stage::Returned { code } if code == "c"));
        assert_eq!(Folder::open(&path).unwrap_err().code, "setup-busy");
        let newer = Progress { format: FORMAT + 1, ..kept };
        folder.keep(&newer).unwrap();
        assert_eq!(folder.progress().unwrap_err().code, "setup-unreadable");
    }

    #[test]
    fn nothing_is_written_over_unasked() {
        let outer = tempfile::tempdir().unwrap();
        let file = outer.path().join("codex-brief.toml");
        write_new(&file, b"one").unwrap();
        assert_eq!((mode(&file), write_new(&file, b"two").unwrap_err().code), (0o600, "setup-exists"));
        let aside = put_aside(&file, 7).unwrap().unwrap();
        assert!(aside.ends_with("codex-brief.toml.before-7") && !file.exists());
        assert_eq!(std::fs::read(aside).unwrap(), b"one");
        assert_eq!(put_aside(&file, 8).unwrap(), None);
    }

    #[test]
    fn a_place_that_takes_no_files_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Folder::open(&file.path().join("below")).unwrap_err().code, "setup-unwritable");
        assert_eq!(try_beside(&file.path().join("below")).unwrap_err().code, "setup-unwritable");
    }
}
