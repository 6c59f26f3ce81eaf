//! Faults on request: what shall go wrong, for which requests, how often.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Says what goes wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// Answers so, and does nothing.
    Answer {
        /// The HTTP status.
        status: u16,
        /// The JSON body.
        body: Value,
        /// Further headers, such as `retry-after`.
        headers: BTreeMap<String, String>,
    },
    /// Answers as a rate limit does, and does nothing.
    RateLimit {
        /// 403 or 429.
        status: u16,
        /// Seconds for `retry-after`; `None` leaves the header out.
        retry_after: Option<u64>,
        /// Seconds until `x-ratelimit-reset`, with nothing remaining; `None` for a secondary limit.
        reset_in: Option<u64>,
    },
    /// Waits, then serves the request as usual.
    Delay(Duration),
    /// Closes the connection without an answer, and does nothing.
    Drop,
    /// Does what was asked, then answers with this status.
    AnswerAfterEffect(u16),
    /// Does what was asked, then closes the connection without an answer.
    DropAfterEffect,
}

type Matcher = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// Asks for a fault: it takes hold of the next requests that match, and then is spent.
#[derive(Clone)]
pub struct Fault {
    method: String,
    path: String,
    matcher: Option<Matcher>,
    skip: usize,
    left: usize,
    kind: FaultKind,
}

impl Fault {
    /// Makes a fault for one request of a method (`*` for any) whose path holds a text; it answers 502
    /// until told otherwise.
    pub fn new(method: &str, path: &str) -> Self {
        let kind = answer(502);
        Self { method: method.to_uppercase(), path: path.to_owned(), matcher: None, skip: 0, left: 1, kind }
    }

    /// Makes a fault for the requests whose method and path a closure picks.
    pub fn matching(pick: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self { matcher: Some(Arc::new(pick)), ..Self::new("*", "") }
    }

    /// Sets how many requests it takes hold of (1 unless told).
    pub fn times(self, times: usize) -> Self {
        Self { left: times, ..self }
    }

    /// Lets so many matching requests pass before it starts.
    pub fn after(self, requests: usize) -> Self {
        Self { skip: requests, ..self }
    }

    /// Sets what goes wrong.
    pub fn kind(self, kind: FaultKind) -> Self {
        Self { kind, ..self }
    }

    /// Answers with a status and GitHub's error shape; nothing is done.
    pub fn status(self, status: u16) -> Self {
        self.kind(answer(status))
    }

    /// Answers 403 as the secondary rate limit does, with `retry-after` in seconds.
    pub fn secondary_rate_limit(self, retry_after: u64) -> Self {
        self.rate_limit(403, Some(retry_after))
    }

    /// Answers 403 or 429 as a secondary rate limit does, with or without `retry-after` in seconds.
    pub fn rate_limit(self, status: u16, retry_after: Option<u64>) -> Self {
        self.kind(FaultKind::RateLimit { status, retry_after, reset_in: None })
    }

    /// Answers 403 or 429 as the hourly limit does: nothing remains until a reset in so many seconds.
    pub fn used_up(self, status: u16, reset_in: u64) -> Self {
        self.kind(FaultKind::RateLimit { status, retry_after: None, reset_in: Some(reset_in) })
    }

    /// Waits before the request is served.
    pub fn delay(self, time: Duration) -> Self {
        self.kind(FaultKind::Delay(time))
    }

    /// Closes the connection without an answer; nothing is done.
    pub fn drop_connection(self) -> Self {
        self.kind(FaultKind::Drop)
    }

    /// Does what was asked and then answers with this status.
    pub fn status_after_effect(self, status: u16) -> Self {
        self.kind(FaultKind::AnswerAfterEffect(status))
    }

    /// Does what was asked and then closes the connection without an answer.
    pub fn drop_after_effect(self) -> Self {
        self.kind(FaultKind::DropAfterEffect)
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Takes hold of a request when it matches, counting itself down.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let hit = self.left > 0
            && (self.method == "*" || self.method == method)
            && path.contains(&self.path)
            && self.matcher.as_ref().is_none_or(|pick| pick(method, path));
        if !hit {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.left -= 1;
        Some(self.kind.clone())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fault({} …{}… ×{} {:?})", self.method, self.path, self.left, self.kind)
    }
}

fn answer(status: u16) -> FaultKind {
    let body = json!({"message": "Server Error", "status": status.to_string()});
    FaultKind::Answer { status, body, headers: BTreeMap::new() }
}

/// The JSON that the control interface takes for a fault.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultOrder {
    #[serde(default = "any")]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(default = "once")]
    times: usize,
    #[serde(default)]
    after: usize,
    kind: String,
    status: Option<u16>,
    body: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    milliseconds: Option<u64>,
    retry_after: Option<u64>,
    reset_in: Option<u64>,
}

fn any() -> String {
    "*".to_owned()
}

fn once() -> usize {
    1
}

impl FaultOrder {
    /// Turns the order into a fault, or says what the order lacks.
    pub(crate) fn fault(self) -> Result<Fault, String> {
        let status = self.status.unwrap_or(502);
        let kind = match self.kind.as_str() {
            "status" => FaultKind::Answer {
                status,
                body: self.body.unwrap_or_else(|| json!({"message": "Server Error"})),
                headers: self.headers,
            },
            "rate-limit" => FaultKind::RateLimit {
                status: self.status.unwrap_or(403),
                retry_after: self.retry_after,
                reset_in: self.reset_in,
            },
            "delay" => FaultKind::Delay(Duration::from_millis(self.milliseconds.unwrap_or(1_000))),
            "drop" => FaultKind::Drop,
            "status-after-effect" => FaultKind::AnswerAfterEffect(status),
            "drop-after-effect" => FaultKind::DropAfterEffect,
            other => {
                return Err(format!(
                    "kind is \"{other}\"; write status, rate-limit, delay, drop, status-after-effect or drop-after-effect"
                ));
            }
        };
        Ok(Fault::new(&self.method, &self.path).times(self.times).after(self.after).kind(kind))
    }
}
