//! Whether a lane's briefs wait for a person's approval, and what an approval is good for.

use serde::{Deserialize, Serialize};

use super::authorize::MinimumPermission;

/// Whose approval a brief needs before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Nobody's.
    #[default]
    None,
    /// That of anybody who may approve, the author included.
    Required,
    /// That of somebody who neither wrote, edited nor posted it.
    SecondPerson,
}

impl Approval {
    /// Returns the word that the configuration and the store use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Required => "required",
            Self::SecondPerson => "second-person",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn read(word: &str) -> Option<Self> {
        [Self::None, Self::Required, Self::SecondPerson].into_iter().find(|known| known.as_str() == word)
    }
}

/// Who may approve, beyond having the permission with which briefs run: whoever one of the two fits.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approvers {
    /// Holds the least permission with which somebody may.
    pub minimum_permission: Option<MinimumPermission>,
    /// Lists accounts that may, by their ids on GitHub.
    pub users: Vec<u64>,
}

/// From which commit an approved run starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalBase {
    /// From the approved one.
    #[default]
    Exact,
    /// From whatever the branch has when the run starts.
    Branch,
}

/// What becomes of an approval whose branch moved before the run started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MovedBase {
    /// It does not count any more, and another is asked for.
    #[default]
    Void,
    /// It counts, and the run works on the approved commit.
    Keep,
}
