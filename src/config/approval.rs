//! Whether somebody must approve a brief before it runs.

use serde::{Deserialize, Serialize};

/// Whose approval a brief needs; a later one asks for more than an earlier one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Nobody's.
    #[default]
    None,
    /// Somebody's who may run it, the author's own too.
    Required,
    /// That of somebody who neither wrote nor edited it.
    SecondPerson,
}
