//! Check runs: what GitHub shows beside a commit.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{GitHub, Kind};
use super::error::GitHubError;
use super::installation::{Id, Place, encode};
use super::limits::{Actions, AnnotationMessage, Annotations, ButtonText, ButtonWord, CheckText, Title};

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
    output: Option<Output>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Output {
    #[serde(default)]
    annotations_count: u64,
}

impl CheckRun {
    /// Tells whether it has annotations; each write would add to them.
    pub fn is_annotated(&self) -> bool {
        self.output.as_ref().is_some_and(|output| output.annotations_count > 0)
    }
}

/// What stands beside lines of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// Holds the path relative to the repository's root.
    pub path: String,
    /// Holds the first line, counted from 1.
    pub start_line: u32,
    /// Holds the last line.
    pub end_line: u32,
    /// Holds the first column, counted from 1; only within one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_column: Option<u32>,
    /// Holds the last column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<u32>,
    /// Holds `notice`, `warning` or `failure`.
    pub annotation_level: String,
    /// Holds what is told, plain text.
    pub message: AnnotationMessage,
}

/// A button of a check run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Action {
    /// Holds what stands on it.
    pub label: ButtonWord,
    /// Holds what is shown beside it.
    pub description: ButtonText,
    /// Holds what GitHub tells when somebody presses it.
    pub identifier: ButtonWord,
}

/// What a check run shall say; what is longer than GitHub takes is cut, and says so.
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
    /// Holds the Markdown of its page.
    pub summary: &'a str,
    /// Holds the Markdown below it.
    pub text: Option<&'a str>,
    /// Holds what is added beside lines of files.
    pub annotations: &'a Annotations,
    /// Holds its buttons; `None` leaves them as they are.
    pub actions: Option<&'a Actions>,
}

impl CheckRunText<'_> {
    fn body(&self) -> Value {
        let mut body = json!({
            "name": self.name,
            "head_sha": self.head_sha,
            "external_id": self.external_id,
            "status": self.status,
            "output": {"title": Title::cut(self.title), "summary": CheckText::cut(self.summary)},
        });
        if let Some(text) = self.text {
            body["output"]["text"] = json!(CheckText::cut(text));
        }
        if !self.annotations.is_empty() {
            body["output"]["annotations"] = json!(self.annotations);
        }
        if let Some(conclusion) = self.conclusion {
            body["conclusion"] = json!(conclusion);
        }
        if let Some(actions) = self.actions {
            body["actions"] = json!(actions);
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
