//! Check runs: what GitHub shows beside a commit.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{GitHub, Kind};
use super::error::GitHubError;
use super::installation::{Id, Place, encode};

/// A check run as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckRun {
    /// Holds its id.
    pub id: u64,
    /// Holds what the App calls it.
    pub external_id: Option<String>,
    /// Holds `queued`, `in_progress` or `completed`.
    pub status: String,
    /// Holds `success`, `failure`, `cancelled` and so on, once it is completed.
    pub conclusion: Option<String>,
}

/// What a check run shall say.
#[derive(Debug, Clone, Copy)]
pub struct CheckRunText<'a> {
    /// Names it; GitHub shows the newest run of a name.
    pub name: &'a str,
    /// Holds the commit that it is for.
    pub head_sha: &'a str,
    /// Holds what the App calls it, by which it is found again.
    pub external_id: &'a str,
    /// Holds `queued`, `in_progress` or `completed`.
    pub status: &'a str,
    /// Holds the conclusion; a completed run needs one, and no other may have one.
    pub conclusion: Option<&'a str>,
    /// Holds the headline of its page.
    pub title: &'a str,
    /// Holds the Markdown of its page, at most 65,535 characters.
    pub summary: &'a str,
    /// Holds its buttons, a JSON list as GitHub wants it; `None` leaves them as they are.
    pub actions: Option<&'a Value>,
}

impl CheckRunText<'_> {
    fn body(&self) -> Value {
        let mut body = json!({
            "name": self.name,
            "head_sha": self.head_sha,
            "external_id": self.external_id,
            "status": self.status,
            "output": {"title": self.title, "summary": self.summary},
        });
        if let Some(conclusion) = self.conclusion {
            body["conclusion"] = json!(conclusion);
        }
        if let Some(actions) = self.actions {
            body["actions"] = actions.clone();
        }
        body
    }
}

#[derive(Deserialize)]
struct Listed {
    check_runs: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    app: Option<Id>,
    #[serde(flatten)]
    run: CheckRun,
}

impl GitHub {
    /// Finds this App's check run of a commit by the external id that it was given.
    pub async fn find_check_run(
        &self,
        place: Place<'_>,
        head_sha: &str,
        external_id: &str,
    ) -> Result<Option<CheckRun>, GitHubError> {
        let app_id = self.app_id();
        let route = place.route(&format!("commits/{}/check-runs?filter=all", encode(head_sha)));
        let own = |found: &Found| {
            let by_app = found.app.as_ref().is_some_and(|app| app.id == app_id);
            by_app && found.run.external_id.as_deref() == Some(external_id)
        };
        let find = |page: Listed| page.check_runs.into_iter().find(own).map(|found| found.run);
        self.walk(place.who(), &route, find).await
    }

    /// Makes a check run and returns its id.
    pub async fn create_check_run(
        &self,
        place: Place<'_>,
        text: &CheckRunText<'_>,
    ) -> Result<u64, GitHubError> {
        let (route, body) = (place.route("check-runs"), text.body());
        let made: Id = self.write(place.who(), Kind::Mark, Method::POST, &route, &body).await?;
        Ok(made.id)
    }

    /// Replaces what a check run says; its commit stays.
    pub async fn update_check_run(
        &self,
        place: Place<'_>,
        id: u64,
        text: &CheckRunText<'_>,
    ) -> Result<(), GitHubError> {
        let (route, mut body) = (place.route(&format!("check-runs/{id}")), text.body());
        if let Some(fields) = body.as_object_mut() {
            fields.remove("head_sha");
        }
        let _: Value = self.write(place.who(), Kind::Mark, Method::PATCH, &route, &body).await?;
        Ok(())
    }
}
