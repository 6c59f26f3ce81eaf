//! The App's delivery log: what GitHub tried to tell, kept there for three days.

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{As, GitHub, Kind};
use super::error::GitHubError;

/// One try of GitHub to hand over a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HookDelivery {
    /// Holds the id of this try.
    pub id: u64,
    /// Holds the delivery's GUID, which every try of it has.
    pub guid: String,
    /// Tells when it was tried.
    pub delivered_at: DateTime<Utc>,
    /// Tells whether it repeats an earlier try.
    pub redelivery: bool,
    /// Holds the status that was answered; 0 when there was no answer.
    pub status_code: u16,
    /// Names the event.
    pub event: String,
    /// Names the action, where the event has one.
    pub action: Option<String>,
}

/// The most pages of the log that are read: three days of a busy App, in entries of some hundred bytes.
const MOST_PAGES: usize = 2_000;

impl HookDelivery {
    /// Tells whether the delivery was taken.
    pub fn was_taken(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

impl GitHub {
    /// Lists the tries since a time, newest first.
    pub async fn deliveries(&self, since: DateTime<Utc>) -> Result<Vec<HookDelivery>, GitHubError> {
        let mut found = Vec::new();
        self.walk_far(As::App, "/app/hook/deliveries?", MOST_PAGES, |page: Vec<HookDelivery>| {
            let older = page.iter().any(|delivery| delivery.delivered_at < since);
            found.extend(page.into_iter().filter(|delivery| delivery.delivered_at >= since));
            older.then_some(())
        })
        .await?;
        Ok(found)
    }

    /// Asks GitHub to try a delivery once more; `id` is that of an earlier try.
    pub async fn redeliver(&self, id: u64) -> Result<(), GitHubError> {
        let route = format!("/app/hook/deliveries/{id}/attempts");
        let _: Value = self.write(As::App, Kind::Mark, Method::POST, &route, &json!({})).await?;
        Ok(())
    }
}
