//! What happened: deliveries on their way out, requests on their way in.

use crate::model::Time;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Records one webhook delivery.
#[derive(Clone, Debug, Serialize)]
pub struct Delivery {
    /// The id in the log; a redelivery gets its own.
    pub id: u64,
    /// The `X-GitHub-Delivery` value; a redelivery keeps it.
    pub guid: String,
    /// The event.
    pub event: String,
    /// The payload's `action`.
    pub action: Option<String>,
    /// The repository that it is about.
    pub repository_id: Option<u64>,
    /// Whether it repeats an earlier one.
    pub redelivery: bool,
    /// When it was put on the way.
    pub delivered_at: Time,
    /// The exact bytes sent.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// Headers sent, once sent.
    pub request_headers: BTreeMap<String, String>,
    /// `pending`, `OK`, the reason phrase of the status, or why no answer came.
    pub status: String,
    /// The receiver's status; `None` while pending, 0 when no answer came.
    pub status_code: Option<u16>,
    /// The receiver's headers.
    pub response_headers: BTreeMap<String, String>,
    /// The receiver's body, at most 64 KiB of it.
    pub response_body: String,
    /// Seconds until the answer.
    pub duration: f64,
}

impl Delivery {
    /// Parses the body that was sent; `Null` when it is not JSON.
    pub fn payload(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Records one request that reached the simulator (pages and the control interface are left out).
#[derive(Clone, Debug, Serialize)]
pub struct RequestRecord {
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without `?`.
    pub query: String,
    /// The status answered; `None` while in work or when the connection was dropped.
    pub status: Option<u16>,
    /// The installation whose token came with it to the API; `None` for the App's own JWT, git, and nobody.
    pub installation: Option<u64>,
    /// Whether a fault that was asked for took hold of it.
    pub faulted: bool,
    /// When it arrived.
    pub at: Time,
}

impl RequestRecord {
    /// Tells whether the request is of a method that changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// Tells whether GitHub counts the request as creating content: a write of comments, issues or pulls.
    pub fn is_content(&self) -> bool {
        let mut parts = self.path.trim_matches('/').split('/');
        // `/repos/OWNER/NAME/THING` or `/repositories/ID/THING`.
        let before = if self.path.starts_with("/repositories/") { 2 } else { 3 };
        let thing = parts.nth(before).unwrap_or_default();
        let other = parts.any(|part| matches!(part, "reactions" | "labels" | "merge"));
        self.is_write() && matches!(thing, "issues" | "pulls") && !other
    }
}
