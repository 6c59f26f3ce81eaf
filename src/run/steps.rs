//! What a lane is given to run, and what it tells while it runs.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::brief::Step;
use crate::run::network::NetworkLog;
use crate::run::redact::Redactor;
use crate::run::report::StepReport;
use crate::run::workspace::RunDirs;

/// One run's steps and what they need.
#[derive(Debug, Clone)]
pub struct StepsOrder<'a> {
    /// Names the run (UUID v7).
    pub run: &'a str,
    /// Holds the steps in their order.
    pub steps: &'a [Step],
    /// Holds the path at which the steps find the checkout, as the brief writes it.
    pub workdir: &'a str,
    /// Holds the run's folders; they must exist.
    pub dirs: &'a RunDirs,
    /// Lists further folders that the steps can read: the path on this machine and the one inside.
    /// They are not seen where the lane has no sandbox.
    pub read_only: Vec<(PathBuf, PathBuf)>,
    /// Holds the lane's secrets: the variables that the steps get, and their values.
    pub secrets: &'a [(String, SecretString)],
    /// Holds the cluster and credential that `kubectl` steps get, and no others; `None` for none.
    pub kubeconfig: Option<&'a SecretString>,
    /// Masks the secrets that the server knows.
    pub redactor: Redactor,
    /// Is filled where the lane has a list of what can be reached.
    pub network: NetworkLog,
}

/// What happens while a lane runs steps; steps are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEvent {
    /// A step starts.
    Started {
        /// Counts the step.
        index: usize,
        /// Names the step.
        name: String,
    },
    /// A step printed something; the bytes are redacted, and may end within a character.
    Output {
        /// Counts the step.
        index: usize,
        /// Holds what was printed.
        bytes: Vec<u8>,
    },
    /// A step ended, or was skipped.
    Ended {
        /// Counts the step.
        index: usize,
        /// Tells how.
        report: Box<StepReport>,
    },
}
