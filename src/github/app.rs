//! The App itself: what it may do, how its webhook is set, and how one is made from a manifest.

use std::collections::BTreeMap;

use axum::http::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::client::{As, GitHub, Kind};
use super::error::GitHubError;
use super::hook::HookDelivery;
use super::tokens::message;
use super::transport::{Ask, Transport};

/// What GitHub knows of the App.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AppProfile {
    /// Holds its id.
    pub id: u64,
    /// Holds the name by which addresses know it.
    pub slug: String,
    /// Holds the address of its page.
    pub html_url: String,
    /// Holds what it asks for: permissions, each with `read`, `write` or `admin`.
    #[serde(default)]
    pub permissions: BTreeMap<String, String>,
    /// Lists the events that it asks for.
    #[serde(default)]
    pub events: Vec<String>,
}

/// How the App's webhook is set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HookConfig {
    /// Holds where deliveries go.
    pub url: Option<String>,
    /// Holds `json` or `form`.
    pub content_type: Option<String>,
    /// Holds `0` when GitHub verifies the receiver's certificate, as a text or a number.
    pub insecure_ssl: Option<Value>,
    /// Holds asterisks where there is a secret.
    pub secret: Option<String>,
}

/// An App that was made from a manifest, with its credentials. GitHub tells these once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registration {
    /// Holds its id.
    pub id: u64,
    /// Holds the name by which addresses know it.
    pub slug: String,
    /// Holds the address of its page.
    pub html_url: String,
    /// Holds its private key, PEM.
    #[serde(serialize_with = "expose")]
    pub pem: SecretString,
    /// Holds the secret that signs its deliveries, where it has a webhook.
    #[serde(serialize_with = "expose_any")]
    pub webhook_secret: Option<SecretString>,
}

fn expose<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}

fn expose_any<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => expose(secret, to),
        None => to.serialize_none(),
    }
}

/// Exchanges the code that GitHub gave a browser for the App that it stands for; a code counts once, for an hour.
///
/// No error names the code.
pub async fn convert(api_url: &str, code: &str) -> Result<Registration, GitHubError> {
    const CALL: &str = "POST /app-manifests/CODE/conversions";
    let route = format!("/app-manifests/{code}/conversions");
    let ask = Ask { method: Method::POST, route: &route, body: Some(&json!({})) };
    let sent = Transport::new(api_url)?.send(&ask, None).await;
    let answer = sent.map_err(|error| match error {
        GitHubError::NoAnswer(_, why) => GitHubError::NoAnswer(CALL.to_owned(), why),
        GitHubError::Unreadable(_, why) => GitHubError::Unreadable(CALL.to_owned(), why),
        other => other,
    })?;
    if !answer.status.is_success() {
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (status, call) = (answer.status.as_u16(), CALL.to_owned());
        return Err(GitHubError::Status {
            status,
            call,
            message: message(&problem).to_owned(),
            details: String::new(),
        });
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| GitHubError::Unreadable(CALL.to_owned(), error.to_string()))
}

/// So many pages of the delivery log are searched for a try that can be repeated.
const MOST_PAGES: usize = 20;

impl GitHub {
    /// Looks up the App; fails with status 401 or 404 when key and id do not fit.
    pub async fn profile(&self) -> Result<AppProfile, GitHubError> {
        self.get(As::App, "/app").await
    }

    /// Looks up how the App's webhook is set.
    pub async fn hook_config(&self) -> Result<HookConfig, GitHubError> {
        self.get(As::App, "/app/hook/config").await
    }

    /// Sets where deliveries go.
    pub async fn set_hook_url(&self, url: &str) -> Result<(), GitHubError> {
        let change = json!({ "url": url, "content_type": "json", "insecure_ssl": "0" });
        let _: Value = self.write(As::App, Kind::Mark, Method::PATCH, "/app/hook/config", &change).await?;
        Ok(())
    }

    /// Finds a try in the delivery log that can be repeated without doing anything: the newest ping, else the
    /// newest delivery that was taken, which the receiver knows already.
    pub async fn harmless_delivery(&self) -> Result<Option<HookDelivery>, GitHubError> {
        let mut taken = None;
        let ping = self
            .walk_far(As::App, "/app/hook/deliveries?", MOST_PAGES, |page: Vec<HookDelivery>| {
                page.into_iter().find(|one| {
                    if taken.is_none() && one.was_taken() {
                        taken = Some(one.clone());
                    }
                    one.event == "ping"
                })
            })
            .await;
        match ping {
            Ok(Some(ping)) => Ok(Some(ping)),
            Ok(None) | Err(GitHubError::TooMany(..)) => Ok(taken),
            Err(error) => Err(error),
        }
    }

    /// Looks whether the log has a newer try of a delivery, and what came of it.
    pub async fn repeated(&self, earlier: &HookDelivery) -> Result<Option<HookDelivery>, GitHubError> {
        let newest: Vec<HookDelivery> = self.get(As::App, "/app/hook/deliveries?per_page=50").await?;
        Ok(newest.into_iter().find(|one| one.guid == earlier.guid && one.id > earlier.id))
    }

    /// Returns how far GitHub's clock is ahead of this machine's as its last answer told, in seconds; 0 when the
    /// difference does not matter.
    pub fn clock_ahead_s(&self) -> i64 {
        self.clock.ahead_s()
    }
}
