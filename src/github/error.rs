//! Why GitHub did not do what it was asked.

use chrono::{DateTime, Utc};
use thiserror::Error;

/// Why a call did not succeed.
#[derive(Debug, Clone, Error)]
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
    /// A list has more pages than are read.
    #[error("{0} has more than {1} pages")]
    TooMany(String, usize),
    /// The App's private key cannot be used.
    #[error("the App's private key cannot be used: {0}")]
    Key(String),
    /// The machine has no certificates by which GitHub could be known.
    #[error("the certificates of this machine cannot be read: {0}")]
    Certificates(String),
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
            // Credentials that were changed on one side only are mended on the other.
            Self::Status { status, .. } => *status >= 500 || matches!(status, 401 | 408),
            // Such as the page of a proxy.
            Self::Unreadable(..) => true,
            Self::TooMany(..) | Self::Key(_) | Self::Certificates(_) => false,
        }
    }

    /// Tells whether the App is no longer installed there, or its installation is suspended: nothing can be
    /// done until an owner changes that.
    pub fn is_gone_installation(&self) -> bool {
        match self {
            Self::Status { status: 403, message, .. } => message.contains("installation has been suspended"),
            Self::Status { status: 404, call, .. } => call.ends_with("/access_tokens"),
            _ => false,
        }
    }

    /// Tells whether what the call was about is not there, or is there no more.
    pub fn is_missing(&self) -> bool {
        matches!(self.status(), Some(404 | 410))
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
