//! The `[[lane]]` sections: which executors exist and what each may do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Approval, CommitWay, KubectlConfig};

use super::secret::LaneSecret;

use super::network::Network;

/// One lane as the operator wrote it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneConfig {
    /// Names the lane; briefs give it as `executor`.
    pub name: String,
    /// Tells how the lane runs steps.
    #[serde(default)]
    pub kind: LaneKind,
    /// Tells whether the lane takes work.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Lists the repositories that the lane serves, as `owner/name` or `owner/*`; empty means every
    /// repository on which the App is installed.
    #[serde(default)]
    pub repositories: Vec<String>,
    /// Tells whose approval a brief needs before it runs.
    #[serde(default)]
    pub approval: Approval,
    /// Tells what the steps can reach.
    #[serde(default)]
    pub network: Network,
    /// Tells whether names on the list of `network` may lead to addresses that are not public.
    #[serde(default)]
    pub network_private_addresses: bool,
    /// Tells what isolates the steps.
    #[serde(default)]
    pub sandbox: SandboxKind,
    /// Bounds how many runs the lane has at a time.
    #[serde(default = "one")]
    pub parallel: usize,
    /// Lists names of variables that steps get from the server's own environment.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Lists secrets that steps get as variables; their values are masked.
    #[serde(default)]
    pub secrets: Vec<LaneSecret>,
    /// Tells which cluster `kubectl` steps reach; none without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubectl: Option<KubectlConfig>,
    /// Lists further host paths that steps can read, such as a toolchain under `/opt`.
    #[serde(default)]
    pub read_only_paths: Vec<PathBuf>,
    /// Lists patterns of paths that no brief may change, in the manner of `.gitignore`.
    #[serde(default)]
    pub protected_paths: Vec<String>,
    /// Lists the kinds of paths that are protected by themselves and may be changed all the same.
    #[serde(default)]
    pub allow_protected: Vec<String>,
    /// Tells whether runs may change files that are not text.
    #[serde(default)]
    pub binaries: Taken,
    /// Tells whether runs may change symbolic links.
    #[serde(default)]
    pub links: Taken,
    /// Tells how the commit of a run comes to GitHub.
    #[serde(default)]
    pub commit: CommitWay,
    /// Bounds one step.
    #[serde(default)]
    pub limits: Limits,
}

impl LaneConfig {
    /// Makes a lane with a name and everything else as it is without a key.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: LaneKind::default(),
            enabled: true,
            repositories: Vec::new(),
            approval: Approval::default(),
            network: Network::default(),
            network_private_addresses: false,
            sandbox: SandboxKind::default(),
            parallel: 1,
            environment: Vec::new(),
            secrets: Vec::new(),
            kubectl: None,
            read_only_paths: Vec::new(),
            protected_paths: Vec::new(),
            allow_protected: Vec::new(),
            binaries: Taken::default(),
            links: Taken::default(),
            commit: CommitWay::default(),
            limits: Limits::default(),
        }
    }
}

/// How a lane runs steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneKind {
    /// Runs them as processes of this machine.
    #[default]
    Process,
}

/// What isolates the steps of a lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxKind {
    /// The `bwrap` program; the lane takes no work where it is missing.
    #[default]
    Bubblewrap,
    /// Nothing. Steps run as the server's user and can read what it can read.
    None,
}

/// Whether something is taken into a pull request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Taken {
    /// It is.
    #[default]
    Allow,
    /// It is not: the run fails, and tells what it changed.
    Refuse,
}

/// The bounds of one step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bounds a step's wall time, in seconds.
    pub wall_seconds: u64,
    /// Bounds the time in which a step prints nothing, in seconds.
    pub idle_seconds: u64,
    /// Bounds the processes and threads that exist at a time.
    pub processes: u64,
    /// Bounds the files that one process has open.
    pub open_files: u64,
    /// Bounds the size of one file that a step writes, in bytes.
    pub file_bytes: u64,
    /// Bounds the memory of all of a step's processes, in bytes; 0 for no bound.
    pub memory_bytes: u64,
    /// Bounds what lies in the run's folders (checkout, home, `/tmp`), in bytes; 0 for no bound.
    pub disk_bytes: u64,
    /// Bounds the start of the output that is kept, in bytes.
    pub log_head_bytes: usize,
    /// Bounds the end of the output that is kept, in bytes.
    pub log_tail_bytes: usize,
    /// Bounds the last lines that go into a report or comment, in bytes.
    pub comment_tail_bytes: usize,
    /// Bounds how many files a run may change.
    pub changed_files: usize,
    /// Bounds the bytes of all files that a run changes.
    pub changed_bytes: u64,
    /// Bounds the bytes of one file that a run changes. GitHub refuses files above 100 MiB.
    pub changed_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall_seconds: 1800,
            idle_seconds: 600,
            processes: 512,
            open_files: 4096,
            file_bytes: 2 << 30,
            memory_bytes: 4 << 30,
            disk_bytes: 16 << 30,
            log_head_bytes: 1 << 20,
            log_tail_bytes: 1 << 20,
            comment_tail_bytes: 8 << 10,
            changed_files: 1000,
            changed_bytes: 64 << 20,
            changed_file_bytes: 64 << 20,
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}
