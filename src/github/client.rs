//! One way to call GitHub: authenticated, in time, within the limits, and never twice by itself.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use moka::future::Cache;
use octocrab::Octocrab;
use octocrab::models::{AppId, InstallationId};
use octocrab::service::middleware::retry::RetryConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::error::GitHubError;
use super::installation::Bot;
use super::rate_limit::RateLimits;
use crate::config::GitHubConfig;

/// The time in which a call must be answered; GitHub itself ends a request after ten seconds.
const CALL_TIME: Duration = Duration::from_secs(30);

/// The most bytes of an answer that are read: a page of 100 comments of 65,536 characters fits.
const MOST_ANSWER_BYTES: usize = 64 << 20;

/// The most pages of a list that are read.
const MOST_PAGES: usize = 50;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// The App itself, by its JWT.
    App,
    /// The App on an installation, by an installation token.
    Installation(u64),
}

/// The App's client, shared by the whole server.
#[derive(Debug)]
pub struct GitHub {
    app: Arc<Octocrab>,
    app_id: u64,
    /// One client an installation, so that its token is made once an hour and not once a call; behind
    /// an `Arc`, since a clone of the client begins without a token.
    installations: Cache<u64, Arc<Octocrab>>,
    pub(super) git_tokens: Cache<(u64, u64), SecretString>,
    pub(super) bot: OnceCell<Bot>,
    limits: RateLimits,
    write_distance: Duration,
    config: GitHubConfig,
}

impl GitHub {
    /// Makes the client; fails when the private key is no RSA key in PEM.
    pub fn new(config: &GitHubConfig, private_key: &SecretString) -> Result<Self, GitHubError> {
        let key_error = |error: &dyn std::fmt::Display| GitHubError::Key(error.to_string());
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes())
            .map_err(|error| key_error(&error))?;
        let app = Octocrab::builder()
            .base_uri(config.api_url.as_str())
            .map_err(|error| key_error(&error))?
            .add_retry_config(RetryConfig::None)
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .set_read_timeout(Some(CALL_TIME))
            .set_write_timeout(Some(CALL_TIME))
            .app(AppId(config.app_id), key)
            .build()
            .map_err(|error| key_error(&error))?;
        // A token lives an hour; five minutes before that, git would be given one that ends midway.
        let git_tokens =
            Cache::builder().max_capacity(1_000).time_to_live(Duration::from_secs(55 * 60)).build();
        Ok(Self {
            app: Arc::new(app),
            app_id: config.app_id,
            installations: Cache::builder().max_capacity(10_000).build(),
            git_tokens,
            bot: OnceCell::new(),
            limits: RateLimits::default(),
            write_distance: Duration::from_millis(config.write_interval_ms),
            config: config.clone(),
        })
    }

    /// Returns the App's id.
    pub fn app_id(&self) -> u64 {
        self.app_id
    }

    /// Returns the address from which git fetches a repository, and to which it pushes.
    pub fn git_url(&self, full_name: &str) -> String {
        self.config.git_url(full_name)
    }

    /// Returns the host of the addresses by which GitHub knows commits.
    pub(super) fn noreply_host(&self) -> String {
        let uri: Option<axum::http::Uri> = self.config.web_url.parse().ok();
        format!("users.noreply.{}", uri.as_ref().and_then(|uri| uri.host()).unwrap_or("github.com"))
    }

    /// Reads one thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, who: As, route: &str) -> Result<T, GitHubError> {
        Ok(self.call(who, Method::GET, route, None).await?.0)
    }

    /// Writes, once. Whoever repeats it looks first whether it was done.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        who: As,
        method: Method,
        route: &str,
        body: &Value,
    ) -> Result<T, GitHubError> {
        self.limits.write_turn(limit_key(who), self.write_distance).await;
        Ok(self.call(who, method, route, Some(body)).await?.0)
    }

    /// Walks a list page by page until `find` finds something; `route` has its own query already.
    pub(super) async fn find<T: DeserializeOwned, R>(
        &self,
        who: As,
        route: &str,
        find: impl Fn(T) -> Option<R>,
    ) -> Result<Option<R>, GitHubError> {
        for page in 1..=MOST_PAGES {
            let (items, more): (Vec<T>, bool) =
                self.call(who, Method::GET, &format!("{route}&per_page=100&page={page}"), None).await?;
            if let Some(found) = items.into_iter().find_map(&find) {
                return Ok(Some(found));
            }
            if !more {
                break;
            }
        }
        Ok(None)
    }

    /// Makes one call; tells also whether the answer names a next page.
    async fn call<T: DeserializeOwned>(
        &self,
        who: As,
        method: Method,
        route: &str,
        body: Option<&Value>,
    ) -> Result<(T, bool), GitHubError> {
        if let Some(until) = self.limits.silence(limit_key(who)) {
            return Err(GitHubError::RateLimited(until));
        }
        let call = format!("{method} {route}");
        let no_answer = |why: String| GitHubError::NoAnswer(call.clone(), why);
        let client = self.client(who).await?;
        let answer = tokio::time::timeout(CALL_TIME, send(&client, method, route, body))
            .await
            .map_err(|_| no_answer(format!("within {} s", CALL_TIME.as_secs())))?;
        let (status, headers, bytes) = answer.map_err(|failure| match failure {
            Failure::NoAnswer(why) => no_answer(why),
            Failure::Token(status, message) => GitHubError::Status {
                status,
                call: "a new token".to_owned(),
                message,
                details: String::new(),
            },
        })?;
        let more = headers
            .get("link")
            .and_then(|link| link.to_str().ok())
            .is_some_and(|link| link.contains("rel=\"next\""));
        if status.is_success() {
            self.limits.learn(limit_key(who), status, &headers, "");
            let bytes = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
            let value = serde_json::from_slice(bytes)
                .map_err(|error| GitHubError::Unreadable(call, error.to_string()))?;
            return Ok((value, more));
        }
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let message = problem["message"].as_str().unwrap_or_default().to_owned();
        if let Some(until) = self.limits.learn(limit_key(who), status, &headers, &message) {
            return Err(GitHubError::RateLimited(until));
        }
        let details = problem.get("errors").map(Value::to_string).unwrap_or_default();
        Err(GitHubError::Status { status: status.as_u16(), call, message, details })
    }

    async fn client(&self, who: As) -> Result<Arc<Octocrab>, GitHubError> {
        match who {
            As::App => Ok(self.app.clone()),
            As::Installation(id) => self
                .installations
                .try_get_with(id, async { self.app.installation(InstallationId(id)).map(Arc::new) })
                .await
                .map_err(|error| GitHubError::Key(error.to_string())),
        }
    }
}

enum Failure {
    NoAnswer(String),
    Token(u16, String),
}

async fn send(
    client: &Octocrab,
    method: Method,
    route: &str,
    body: Option<&Value>,
) -> Result<(StatusCode, axum::http::HeaderMap, Vec<u8>), Failure> {
    let request =
        Request::builder().method(method).uri(route).header("accept", "application/vnd.github+json");
    let failed = |error: octocrab::Error| match error {
        octocrab::Error::GitHub { source, .. } => {
            Failure::Token(source.status_code.as_u16(), source.message.clone())
        }
        error => Failure::NoAnswer(chain(&error)),
    };
    let request = client.build_request(request, body).map_err(failed)?;
    let response = client.execute(request).await.map_err(failed)?;
    let (parts, body) = response.into_parts();
    let bytes = Limited::new(body, MOST_ANSWER_BYTES)
        .collect()
        .await
        .map_err(|error| Failure::NoAnswer(error.to_string()))?
        .to_bytes();
    Ok((parts.status, parts.headers, bytes.to_vec()))
}

fn limit_key(who: As) -> u64 {
    match who {
        As::App => 0,
        As::Installation(id) => id,
    }
}

/// Joins an error with its causes, since octocrab's own text often is only "Service Error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.lines().next().unwrap_or_default().to_owned()
}
