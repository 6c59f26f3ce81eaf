//! Labels of a repository, and on a thread.

use std::collections::HashMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{GitHub, Kind};
use super::error::GitHubError;
use super::installation::{Place, encode};

#[derive(Deserialize)]
struct Label {
    name: String,
}

/// Something that happened to a thread; only labellings have a label.
#[derive(Deserialize)]
struct Happening {
    event: String,
    actor: Option<Actor>,
    label: Option<Label>,
}

#[derive(Deserialize)]
struct Actor {
    id: u64,
    login: String,
}

impl GitHub {
    /// Tells who put each label on a thread last, by its name in small letters: login and id. One whose account
    /// is gone is left out.
    pub async fn labellers(
        &self,
        place: Place<'_>,
        thread: u64,
    ) -> Result<HashMap<String, (String, u64)>, GitHubError> {
        let route = place.route(&format!("issues/{thread}/events?"));
        // GitHub lists the oldest first.
        let happened: Vec<Happening> = self.list(place.who(), &route).await?;
        let mut labellers = HashMap::new();
        for one in happened.into_iter().filter(|one| one.event == "labeled") {
            let Some(label) = one.label.map(|label| label.name.to_lowercase()) else { continue };
            match one.actor {
                Some(actor) => drop(labellers.insert(label, (actor.login, actor.id))),
                None => drop(labellers.remove(&label)),
            }
        }
        Ok(labellers)
    }

    /// Lists the labels on a thread.
    pub async fn labels(&self, place: Place<'_>, thread: u64) -> Result<Vec<String>, GitHubError> {
        let route = place.route(&format!("issues/{thread}/labels?"));
        let labels: Vec<Label> = self.list(place.who(), &route).await?;
        Ok(labels.into_iter().map(|label| label.name).collect())
    }

    /// Makes a label in the repository, its colour as six hex digits; one that is there stays as it is.
    pub async fn create_label(
        &self,
        place: Place<'_>,
        name: &str,
        color: &str,
        description: &str,
    ) -> Result<(), GitHubError> {
        let (route, body) =
            (place.route("labels"), json!({"name": name, "color": color, "description": description}));
        match self.write::<Value>(place.who(), Kind::Mark, Method::POST, &route, &body).await {
            Err(GitHubError::Status { status: 422, details, .. }) if details.contains("already_exists") => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    /// Puts a label on a thread; one that is on it stays.
    pub async fn add_label(&self, place: Place<'_>, thread: u64, name: &str) -> Result<(), GitHubError> {
        self.add_labels(place, thread, &[name.to_owned()]).await
    }

    /// Puts labels on a thread; those that are on it stay, and those that the repository lacks are made.
    pub async fn add_labels(
        &self,
        place: Place<'_>,
        thread: u64,
        names: &[String],
    ) -> Result<(), GitHubError> {
        let (route, body) = (place.route(&format!("issues/{thread}/labels")), json!({"labels": names}));
        let _: Value = self.write(place.who(), Kind::Mark, Method::POST, &route, &body).await?;
        Ok(())
    }

    /// Takes a label from a thread; one that is not on it is no error.
    pub async fn remove_label(&self, place: Place<'_>, thread: u64, name: &str) -> Result<(), GitHubError> {
        let route = place.route(&format!("issues/{thread}/labels/{}", encode(name)));
        let taken = self.write::<Value>(place.who(), Kind::Mark, Method::DELETE, &route, &Value::Null).await;
        match taken {
            Err(error) if error.is_missing() && !error.is_gone_installation() => Ok(()),
            other => other.map(drop),
        }
    }
}
