//! How much memory and disk a step uses: measured from outside again and again, since no limit of a
//! single process bounds a whole step.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::cage::Processes;
use crate::config::Limits;
use crate::run::report::StepStatus;

/// How often memory is measured. What a step takes in the meantime is beyond its bound.
const MEMORY_EVERY: Duration = Duration::from_millis(100);

/// How often the disk is measured at most, and how many times longer than a measure takes it rests.
const DISK_EVERY: Duration = Duration::from_millis(500);
const REST: u32 = 20;

/// The unit of `st_blocks`, in bytes.
const BLOCK: u64 = 512;

/// What is measured of one step.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    /// Finds the step's processes.
    pub(super) processes: Processes,
    /// Holds the run's folders.
    pub(super) folders: Vec<PathBuf>,
}

impl Usage {
    /// Waits until the step uses more than it may, and tells of what.
    pub(super) async fn exceeded(self, limits: &Limits) -> StepStatus {
        let (memory, disk) = (limits.memory_bytes, limits.disk_bytes);
        let mut look_at_disk = Instant::now() + DISK_EVERY;
        loop {
            tokio::time::sleep(MEMORY_EVERY).await;
            if memory > 0 && self.aside(move |usage| usage.has_memory_over(memory)).await {
                return StepStatus::OverMemory;
            }
            if disk > 0 && Instant::now() >= look_at_disk {
                let began = Instant::now();
                if self.aside(move |usage| usage.disk() > disk).await {
                    return StepStatus::OverDisk;
                }
                look_at_disk = Instant::now() + DISK_EVERY.max(began.elapsed() * REST);
            }
        }
    }

    /// Measures without keeping other work waiting.
    async fn aside(&self, measure: impl FnOnce(&Self) -> bool + Send + 'static) -> bool {
        let usage = self.clone();
        tokio::task::spawn_blocking(move || measure(&usage)).await.unwrap_or(false)
    }

    /// Tells whether the processes hold more memory, in bytes. The quick sum counts pages that they
    /// share several times; only where it is over is their exact part asked for.
    fn has_memory_over(&self, bound: u64) -> bool {
        let ids = self.processes.ids();
        let quick = ids.iter().map(|&id| status_memory(&proc_text(id, "status"))).sum::<u64>();
        if quick <= bound {
            return false;
        }
        let exact = |&id: &i32| match proc_text(id, "smaps_rollup") {
            // A process can hide it from a server that is an ordinary user; then all counts.
            text if text.is_empty() => status_memory(&proc_text(id, "status")),
            text => kib_of(&text, &["Pss_Anon", "Pss_Shmem", "SwapPss"]),
        };
        ids.iter().map(exact).sum::<u64>() > bound
    }

    /// Measures what lies in the folders and what was removed there but is still open, in bytes.
    fn disk(&self) -> u64 {
        let mut seen = HashSet::new();
        let lying: u64 = self.folders.iter().map(|folder| disk_of(folder, &mut seen).unwrap_or(0)).sum();
        let devices: HashSet<u64> =
            self.folders.iter().filter_map(|folder| Some(folder.metadata().ok()?.dev())).collect();
        let removed = |id: i32| {
            let open = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            open.filter_map(|entry| std::fs::metadata(entry.path()).ok())
        };
        let removed = self.processes.ids().into_iter().flat_map(removed);
        let counts =
            removed.filter(|file| file.nlink() == 0 && file.is_file() && devices.contains(&file.dev()));
        let once = counts.filter(|file| seen.insert((file.dev(), file.ino())));
        lying + once.map(|file| file.blocks() * BLOCK).sum::<u64>()
    }
}

fn proc_text(id: i32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap_or_default()
}

fn status_memory(status: &str) -> u64 {
    kib_of(status, &["RssAnon", "RssShmem", "VmSwap"])
}

/// Adds up the lines `NAME: NUMBER kB` of these names, in bytes.
fn kib_of(text: &str, names: &[&str]) -> u64 {
    let number = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let known = names.contains(&name);
        known.then(|| rest.split_whitespace().next()?.parse::<u64>().ok()).flatten()
    };
    text.lines().filter_map(number).sum::<u64>() << 10
}

/// How many closed folders are held open at a time, a descriptor each; more are left open to their user.
const MOST_REOPENED: usize = 64;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Adds up what a folder's files take on the disk, links not followed; `seen` holds files of several
/// names that were counted.
fn disk_of(folder: &Path, seen: &mut HashSet<(u64, u64)>) -> io::Result<u64> {
    let root = fs::openat(CWD, folder, FOLDER, Mode::empty())?;
    let (mut total, mut reopened) = (0, Vec::new());
    let mut waiting = vec![PathBuf::from(".")];
    while let Some(path) = waiting.pop() {
        // Opened anew from the root each time, so that a deep tree does not hold many descriptors. What
        // is gone by now, or too deep for a path, is not counted.
        let Ok((here, again)) = open_folder(&root, &path) else { continue };
        if let Some(mut again) = again {
            // Those within it are reached through it.
            if reopened.len() < MOST_REOPENED {
                reopened.push(again);
            } else {
                again.mode = None;
            }
        }
        let Ok(entries) = Dir::read_from(&here) else { continue };
        for entry in entries.flatten() {
            let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
            if name == Path::new(".") || name == Path::new("..") {
                continue;
            }
            let Ok(found) = fs::statat(&here, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
                waiting.push(path.join(name));
            } else if found.st_nlink > 1 && !seen.insert((found.st_dev, found.st_ino)) {
                continue;
            }
            total += u64::try_from(found.st_blocks).unwrap_or(0) * BLOCK;
        }
    }
    Ok(total)
}

/// A folder that a step has closed to its own user, opened for as long as this lives.
struct Reopened {
    folder: OwnedFd,
    /// Holds what it goes back to; `None` to leave it open.
    mode: Option<Mode>,
}

impl Drop for Reopened {
    fn drop(&mut self) {
        if let Some(mode) = self.mode {
            let _as_it_was = fs::chmod(place_of(&self.folder), mode);
        }
    }
}

fn place_of(folder: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", folder.as_raw_fd())
}

/// Opens a folder to list it.
fn open_folder(root: &OwnedFd, path: &Path) -> io::Result<(OwnedFd, Option<Reopened>)> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let open = |more| fs::openat2(root, path, FOLDER | more, Mode::empty(), resolve);
    match open(OFlags::empty()) {
        Err(Errno::ACCESS) => {
            let folder = open(OFlags::PATH)?;
            let mode = Mode::from_raw_mode(fs::fstat(&folder)?.st_mode);
            fs::chmod(place_of(&folder), mode | Mode::RWXU)?;
            let reopened = Reopened { folder, mode: Some(mode) };
            Ok((open(OFlags::empty())?, Some(reopened)))
        }
        opened => Ok((opened?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_lines_count() {
        let status = "Name:\tx\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t 700 kB\nRssShmem:\t  20 kB\nVmSwap:\t 3 kB\n";
        assert_eq!(status_memory(status), 123 << 10);
        assert_eq!(status_memory(""), 0);
    }

    #[test]
    fn files_count_once_and_closed_folders_are_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("big"), vec![1; 1 << 20]).unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), vec![1; 100 << 10]).unwrap();
        std::fs::hard_link(deep.join("file"), folder.path().join("again")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        let measured = |folder: &Path| disk_of(folder, &mut HashSet::new()).unwrap();
        let open = measured(folder.path());
        assert!((100 << 10..200 << 10).contains(&open), "{open}");
        fs::chmod(folder.path().join("a").as_path(), Mode::empty()).unwrap();
        let closed = measured(folder.path());
        let mode = folder.path().join("a").metadata().unwrap().mode() & 0o777;
        fs::chmod(folder.path().join("a").as_path(), Mode::RWXU).unwrap();
        assert_eq!((closed, mode), (open, 0));
    }
}
