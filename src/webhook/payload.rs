//! GitHub's payloads, as far as they are read.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::event::Account;

#[derive(Deserialize)]
pub(super) struct Payload {
    pub(super) action: String,
    pub(super) repository: Option<Repository>,
    pub(super) installation: Option<Installation>,
    pub(super) sender: Option<Account>,
    pub(super) issue: Option<Item>,
    pub(super) comment: Option<Item>,
    pub(super) pull_request: Option<Item>,
    pub(super) review: Option<Item>,
    pub(super) changes: Option<Value>,
    pub(super) check_run: Option<CheckRun>,
    pub(super) requested_action: Option<RequestedAction>,
    pub(super) label: Option<Label>,
}

#[derive(Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) head_sha: String,
    pub(super) external_id: Option<String>,
    pub(super) app: Option<App>,
}

#[derive(Deserialize)]
pub(super) struct RequestedAction {
    pub(super) identifier: String,
}

#[derive(Deserialize)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) owner: Owner,
}

#[derive(Deserialize)]
pub(super) struct Owner {
    pub(super) login: String,
}

#[derive(Deserialize)]
pub(super) struct Installation {
    pub(super) id: u64,
}

/// An issue, pull request, comment or review, as far as they are alike.
#[derive(Deserialize)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) number: Option<u64>,
    pub(super) title: Option<String>,
    pub(super) body: Option<String>,
    pub(super) html_url: String,
    pub(super) user: Option<Account>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) submitted_at: Option<DateTime<Utc>>,
    pub(super) closed_at: Option<DateTime<Utc>>,
    pub(super) performed_via_github_app: Option<App>,
}

#[derive(Deserialize)]
pub(super) struct App {
    pub(super) id: u64,
}
