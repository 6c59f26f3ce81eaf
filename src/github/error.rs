//! Why GitHub did not do what it was asked.

use chrono::{DateTime, Utc};
use thiserror::Error;

/// Why a call did not succeed.
#[derive(Debug, Error)]
pub enum GitHubError {
    /// GitHub asked for silence until a time; nothing was sent, or nothing was done.
    #[error("GitHub asked not to be called before {0}")]
    RateLimited(DateTime<Utc>),
    /// GitHub answered with an error; `details` holds what its `errors` say.
    #[error("GitHub answered {status} to {call}: {message} {details}")]
    Status {
        /// Holds the HTTP status.
        status: u16,
        /// Holds method and route.
        call: String,
        /// Holds GitHub's sentence.
        message: String,
        /// Holds the `errors` of the answer as JSON, or nothing.
        details: String,
    },
    /// There was no answer, so for a write it is not known whether it was done.
    #[error("GitHub did not answer {0}: {1}")]
    NoAnswer(String, String),
    /// The answer was not what the API promises.
    #[error("GitHub's answer to {0} cannot be read: {1}")]
    Unreadable(String, String),
    /// The App's private key cannot be used.
    #[error("the App's private key cannot be used: {0}")]
    Key(String),
}

impl GitHubError {
    /// Returns the HTTP status, where GitHub answered with one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Tells whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited(_) | Self::NoAnswer(..) => true,
            Self::Status { status, .. } => *status >= 500 || *status == 408,
            Self::Unreadable(..) | Self::Key(_) => false,
        }
    }

    /// Returns how long to wait before try number `attempt` (from 0), in milliseconds: what GitHub
    /// said, else one second doubling to five minutes.
    pub fn retry_after_ms(&self, attempt: i64) -> i64 {
        match self {
            Self::RateLimited(until) => (*until - Utc::now()).num_milliseconds().max(1_000),
            _ => (1_000_i64 << attempt.clamp(0, 9)).min(300_000),
        }
    }
}
