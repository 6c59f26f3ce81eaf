//! How the commit of a run comes to GitHub.

use serde::{Deserialize, Serialize};

/// How the commit of a run comes to GitHub; the later one asks for more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitWay {
    /// It is built here and pushed by git, unsigned.
    #[default]
    Git,
    /// GitHub makes it by its API from what was built here, and signs it; what GitHub does not sign is not
    /// published.
    Api,
}
