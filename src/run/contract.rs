//! What a lane takes of the changes that a run makes: how many, how large, of what kind, and which not.

use crate::config::{LaneConfig, Limits, Taken};
use crate::run::protected::ProtectedPaths;

/// Bounds the entries of a checkout that are looked at, tracked or not.
pub const MAX_ENTRIES: u64 = 2_000_000;

/// Bounds a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectLimits {
    /// Bounds the paths that changed or are refused.
    pub changed_files: usize,
    /// Bounds the bytes of all changed files.
    pub changed_bytes: u64,
    /// Bounds the bytes of one changed file.
    pub changed_file_bytes: u64,
    /// Bounds the entries that are looked at.
    pub entries: u64,
}

impl From<&Limits> for CollectLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            changed_files: limits.changed_files,
            changed_bytes: limits.changed_bytes,
            changed_file_bytes: limits.changed_file_bytes,
            entries: MAX_ENTRIES,
        }
    }
}

/// What a lane takes of the changes that a run makes.
#[derive(Debug, Clone, Default)]
pub struct Contract {
    /// Names the paths that no brief may change.
    pub protected: ProtectedPaths,
    /// Tells whether files that are not text are taken.
    pub binaries: Taken,
    /// Tells whether symbolic links are taken.
    pub links: Taken,
}

impl Contract {
    /// Returns what a lane takes.
    ///
    /// # Errors
    /// Tells what is wrong with the lane's `protected_paths` or `allow_protected`.
    pub fn of(lane: &LaneConfig) -> Result<Self, String> {
        Self::with(lane, &[])
    }

    /// Returns what a lane takes where a policy protects further paths.
    ///
    /// # Errors
    /// Tells what is wrong with the `protected_paths` or `allow_protected`.
    pub fn with(lane: &LaneConfig, further: &[String]) -> Result<Self, String> {
        let named = [lane.protected_paths.as_slice(), further].concat();
        let protected = ProtectedPaths::new(&named, &lane.allow_protected)?;
        Ok(Self { protected, binaries: lane.binaries, links: lane.links })
    }
}
