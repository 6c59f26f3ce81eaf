//! The sink: a file of JSON lines outside the store that the entries are appended to, in order.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::AuditEntry;

/// How much of the file's end is read at once in search of its last line, in bytes.
const CHUNK: u64 = 64 << 10;

/// The file, opened when it is needed and made when it is not there.
#[derive(Debug)]
pub struct Sink {
    path: PathBuf,
    file: Option<File>,
}

impl Sink {
    /// Names the file.
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Names the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file unless it is open and still in its place. Returns what is last in it where it was opened
    /// now: `Some(None)` for an empty one. A last line that a crash cut off is removed.
    ///
    /// # Errors
    /// Fails where it is no file of this user's, cannot be written, or ends with something that is no entry.
    pub fn open(&mut self) -> io::Result<Option<Option<AuditEntry>>> {
        if let Some(open) = &self.file {
            let (open, there) = (open.metadata()?, fs::symlink_metadata(&self.path));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (open.dev(), open.ino())) {
                return Ok(None);
            }
            self.file = None;
        }
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(flags);
        let mut file = options.open(&self.path)?;
        let found = file.metadata()?;
        if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it is no file of the server's user"));
        }
        if found.mode() & 0o777 != 0o600 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
        if found.len() == 0
            && let Some(folder) = self.path.parent()
        {
            // The name of a new file lasts when its folder is on the disk.
            File::open(folder)?.sync_all()?;
        }
        let last = last_entry(&mut file)?;
        self.file = Some(file);
        Ok(Some(last))
    }

    /// Appends lines, each with its end, and returns when they are on the disk.
    ///
    /// # Errors
    /// Fails as the file does; part of it may be written then, and the file must be opened again.
    pub fn append(&mut self, lines: &str) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotConnected.into()) };
        let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
        if written.is_err() {
            self.file = None;
        }
        written
    }

    /// Moves the file aside, as one that does not belong to this store; returns its new name.
    ///
    /// # Errors
    /// Fails as the folder does.
    pub fn move_aside(&mut self, suffix: &str) -> io::Result<PathBuf> {
        self.file = None;
        let mut aside = self.path.clone().into_os_string();
        aside.push(suffix);
        fs::rename(&self.path, &aside)?;
        Ok(aside.into())
    }
}

/// Reads the last whole line, and cuts off what stands behind it.
fn last_entry(file: &mut File) -> io::Result<Option<AuditEntry>> {
    let length = file.metadata()?.len();
    let (mut start, mut end) = (length, Vec::new());
    loop {
        let whole = end.iter().rposition(|byte| *byte == b'\n');
        let before = whole.and_then(|at| end[..at].iter().rposition(|byte| *byte == b'\n'));
        if let (Some(whole), true) = (whole, before.is_some() || start == 0) {
            let line = &end[before.map_or(0, |at| at + 1)..whole];
            let entry = serde_json::from_slice::<AuditEntry>(line);
            let entry =
                entry.map_err(|error| io::Error::other(format!("its last line is no entry: {error}")))?;
            file.set_len(start + whole as u64 + 1)?;
            return Ok(Some(entry));
        }
        if start == 0 {
            file.set_len(0)?;
            return Ok(None);
        }
        let more = start.min(CHUNK);
        start -= more;
        file.seek(SeekFrom::Start(start))?;
        let mut chunk = vec![0; usize::try_from(more).unwrap_or_default()];
        file.read_exact(&mut chunk)?;
        chunk.append(&mut end);
        end = chunk;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::audit::Entry;
    use crate::store::audit::chain::GENESIS;

    fn line(n: i64, reason: &str) -> String {
        let entry = Entry::new("queued", "maria", reason).follow((n - 1, GENESIS.to_owned()), 0);
        let hash = Some(entry.seal().unwrap().1);
        format!("{}\n", AuditEntry { hash, ..entry }.line().unwrap())
    }

    fn last(sink: &mut Sink) -> Option<i64> {
        sink.open().unwrap().expect("it is opened now").map(|entry| entry.sequence)
    }

    #[test]
    fn a_sink_goes_on_after_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut sink = Sink::new(path.clone());
        assert_eq!(last(&mut sink), None);
        let long = "x".repeat(1_900);
        for n in 1..=100 {
            sink.append(&line(n, &long)).unwrap();
        }
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let whole = fs::read(&path).unwrap();
        for torn in ["", "{\"action\":", &line(101, "torn")[..200]] {
            fs::write(&path, [&whole, torn.as_bytes()].concat()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert_eq!(last(&mut Sink::new(path.clone())), Some(100), "{torn}");
            assert_eq!(fs::read(&path).unwrap(), whole);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
        fs::write(&path, "{\"action\":").unwrap();
        assert_eq!(last(&mut Sink::new(path.clone())), None);
        fs::write(&path, "a letter\n").unwrap();
        assert!(Sink::new(path.clone()).open().is_err(), "what is no sink is not written to");
        assert_eq!(fs::read(&path).unwrap(), b"a letter\n");
    }

    #[test]
    fn a_file_that_is_moved_away_gets_a_successor_and_links_and_fifos_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut sink = Sink::new(path.clone());
        assert_eq!(last(&mut sink), None);
        sink.append(&line(1, "")).unwrap();
        assert!(sink.open().unwrap().is_none(), "it is open");
        fs::rename(&path, folder.path().join("audit.1")).unwrap();
        assert_eq!(last(&mut sink), None);
        sink.append(&line(2, "")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line(2, ""));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("audit.1", &path).unwrap();
        assert!(sink.open().is_err());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(sink.open().is_err());
    }
}
