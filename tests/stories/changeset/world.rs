//! A repository, its mirror and a run's checkout, with real git and real files.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use codex_brief::config::LaneConfig;
use codex_brief::publish::commit::{CommitError, CommitRequest, Signature, build_commit};
use codex_brief::run::changeset::{Changeset, CommitId, RefusalReason};
use codex_brief::run::checkout::checkout;
use codex_brief::run::collect::{CollectRequest, collect};
use codex_brief::run::contract::{CollectLimits, Contract};
use codex_brief::run::mirror::{Mirror, Remote};
use codex_brief::run::workspace::RunDirs;
use codex_brief::store::blobs::Blobs;
use tempfile::TempDir;

pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) origin: PathBuf,
    pub(super) mirror: Mirror,
    pub(super) base: CommitId,
    pub(super) blobs: Blobs,
    pub(super) dirs: RunDirs,
}

impl World {
    /// Makes a repository with these files and a run's checkout of it.
    pub(super) async fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "-q", "-b", "main"]);
        for (path, content) in files {
            write(&origin.join(path), content);
        }
        git(&origin, &["add", "-A", "-f"]);
        git(&origin, &["commit", "-q", "-m", "base", "--allow-empty"]);
        Self::of(dir, origin).await
    }

    /// Makes mirror and checkout of a repository that is there.
    pub(super) async fn of(dir: TempDir, origin: PathBuf) -> Self {
        let mirror = Mirror::at(&dir.path().join("mirrors/1.git")).unwrap();
        mirror.fetch(&Remote::local(&origin).unwrap(), None).await.unwrap();
        let base = mirror.resolve_branch("main").unwrap().unwrap();
        let blobs = Blobs::open(dir.path().join("blobs")).unwrap();
        let dirs = RunDirs::create(&dir.path().join("runs"), "run-0").unwrap();
        let world = Self { dir, origin, mirror, base, blobs, dirs };
        checkout(&world.mirror, world.base, "main", &world.dirs).await.unwrap();
        world
    }

    pub(super) async fn another_run(&mut self, run: &str) {
        self.dirs = RunDirs::create(&self.dir.path().join("runs"), run).unwrap();
        checkout(&self.mirror, self.base, "main", &self.dirs).await.unwrap();
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.dirs.checkout.join(path)
    }

    pub(super) fn collect(&self, declared: &[&str]) -> Changeset {
        self.collect_within(declared, 1000, 1 << 20)
    }

    pub(super) fn collect_within(&self, declared: &[&str], files: usize, bytes: u64) -> Changeset {
        let limits = CollectLimits {
            changed_files: files,
            changed_bytes: bytes,
            changed_file_bytes: u64::MAX,
            entries: 10_000,
        };
        self.collect_by(declared, limits, &Contract::default())
    }

    /// Collects as a lane with these settings would.
    pub(super) fn collect_as(&self, declared: &[&str], lane: &LaneConfig) -> Changeset {
        self.collect_by(declared, (&lane.limits).into(), &Contract::of(lane).unwrap())
    }

    fn collect_by(&self, declared: &[&str], limits: CollectLimits, contract: &Contract) -> Changeset {
        let repository = self.mirror.repository().unwrap();
        let declared = owned(declared);
        let request = CollectRequest {
            aside: &[],
            checkout: &self.dirs.checkout,
            repository: &repository,
            base: self.base,
            declared: &declared,
            limits,
            contract,
            blobs: &self.blobs,
        };
        collect(&request).unwrap()
    }

    pub(super) fn commit(&self, changeset: &Changeset, declared: &[&str]) -> Result<CommitId, CommitError> {
        self.commit_as(changeset, declared, &LaneConfig::named("devbox-codex"))
    }

    /// Commits as a lane with these settings would.
    pub(super) fn commit_as(
        &self,
        changeset: &Changeset,
        declared: &[&str],
        lane: &LaneConfig,
    ) -> Result<CommitId, CommitError> {
        let author = Signature { name: "codex-brief[bot]".into(), email: "bot@example.com".into() };
        let request = CommitRequest {
            onto: None,
            base: self.base,
            changes: &changeset.entries,
            declared: &owned(declared),
            protected: &Contract::of(lane).unwrap().protected,
            message: "change\n\nBrief: 0a1b\n",
            author: &author,
            time: 1_700_000_000,
        };
        build_commit(&self.mirror.repository().unwrap(), &self.blobs, &request)
    }

    /// Commits whatever changed.
    pub(super) fn commit_all(&self, changeset: &Changeset) -> CommitId {
        let declared: Vec<&str> = changeset.entries.iter().map(|change| change.path.as_str()).collect();
        self.commit(changeset, &declared).unwrap()
    }

    /// Returns what `git` says inside the mirror.
    pub(super) fn mirror_git(&self, args: &[&str]) -> String {
        git(self.mirror.path(), args)
    }

    /// Tells whether some stored blob holds this text.
    pub(super) fn blobs_hold(&self, text: &str) -> bool {
        holds(&self.dir.path().join("blobs"), text.as_bytes())
    }

    /// Returns refused paths with their reasons.
    pub(super) fn refusals(changeset: &Changeset) -> Vec<(&str, RefusalReason)> {
        changeset.refused.iter().map(|refusal| (refusal.path.as_str(), refusal.reason)).collect()
    }
}

pub(super) fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

pub(super) fn paths(changeset: &Changeset) -> Vec<&str> {
    changeset.entries.iter().map(|change| change.path.as_str()).collect()
}

pub(super) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Runs git as a test's own tool, apart from the settings of the machine.
pub(super) fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .envs([("GIT_AUTHOR_NAME", "octo"), ("GIT_AUTHOR_EMAIL", "octo@example.com")])
        .envs([("GIT_COMMITTER_NAME", "octo"), ("GIT_COMMITTER_EMAIL", "octo@example.com")])
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Tells whether a file below the folder, or its name, holds these bytes.
pub(super) fn holds(dir: &Path, needle: &[u8]) -> bool {
    let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    fs::read_dir(dir).unwrap().any(|entry| {
        let entry = entry.unwrap();
        has(entry.file_name().as_bytes())
            || if entry.file_type().unwrap().is_dir() {
                holds(&entry.path(), needle)
            } else {
                has(&fs::read(entry.path()).unwrap_or_default())
            }
    })
}
