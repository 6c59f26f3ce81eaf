//! One way to call GitHub: authenticated, in time, within the limits, and never twice by itself.

use std::time::Duration;

use axum::http::{HeaderMap, Method};
use chrono::Utc;
use moka::future::Cache;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::budget::Budget;
use super::clock::Clock;
use super::error::GitHubError;
use super::installation::Bot;
use super::rate_limit::RateLimits;
use super::tokens::{AppKey, Tokens, message};
use super::transport::{Answer, Ask, Transport};
use crate::config::GitHubConfig;

/// The most pages of a list that are read.
const MOST_PAGES: usize = 100;

/// A write that has to wait longer than this for its place in the budget is put off instead.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum As {
    /// The App itself, by its JWT.
    App,
    /// The App on an installation, by an installation token.
    Installation(u64),
}

impl As {
    /// Returns the key by which limits are kept.
    fn key(self) -> u64 {
        match self {
            Self::App => 0,
            Self::Installation(id) => id,
        }
    }
}

/// What kind of write it is: GitHub counts those that create content, and allows fewer of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A comment, an issue or a pull request, made or changed.
    Content,
    /// Anything else, such as a label or a reaction.
    Mark,
}

/// The App's client, shared by the whole server.
#[derive(Debug)]
pub struct GitHub {
    transport: Transport,
    pub(super) key: AppKey,
    pub(super) clock: Clock,
    pub(super) tokens: Tokens,
    pub(super) bot: OnceCell<Bot>,
    /// Holds names of repositories by id, for a short time.
    pub(super) names: Cache<(u64, u64), String>,
    limits: RateLimits,
    budget: Budget,
    config: GitHubConfig,
}

impl GitHub {
    /// Makes the client; fails when the private key is no RSA key in PEM.
    pub fn new(config: &GitHubConfig, private_key: &SecretString) -> Result<Self, GitHubError> {
        Ok(Self {
            transport: Transport::new(&config.api_url)?,
            key: AppKey::new(config.app_id, private_key)?,
            clock: Clock::default(),
            tokens: Tokens::default(),
            bot: OnceCell::new(),
            names: Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(60)).build(),
            limits: RateLimits::default(),
            budget: Budget::new(config.content_per_minute, config.content_per_hour),
            config: config.clone(),
        })
    }

    /// Returns the App's id.
    pub fn app_id(&self) -> u64 {
        self.config.app_id
    }

    /// Returns the address from which git fetches a repository, and to which it pushes.
    pub fn git_url(&self, full_name: &str) -> String {
        self.config.git_url(full_name)
    }

    /// Counts content that an installation created earlier, told in milliseconds since 1970: GitHub goes on
    /// counting while the server is started anew.
    pub fn remember_writes(&self, installation: u64, at_ms: &[i64]) {
        let now = Utc::now().timestamp_millis();
        self.budget.remember(installation, at_ms.iter().map(|at| now.saturating_sub(*at)));
    }

    /// Tells whether less than half of what an installation may create in a minute and in an hour is created: what
    /// can wait, or be left out, takes no more.
    pub fn has_room(&self, installation: u64) -> bool {
        self.budget.has_room(installation)
    }

    /// Returns the host of the addresses by which GitHub knows commits.
    pub(super) fn noreply_host(&self) -> String {
        let uri: Option<axum::http::Uri> = self.config.web_url.parse().ok();
        format!("users.noreply.{}", uri.as_ref().and_then(|uri| uri.host()).unwrap_or("github.com"))
    }

    /// Reads one thing.
    pub(super) async fn get<T: DeserializeOwned>(&self, who: As, route: &str) -> Result<T, GitHubError> {
        Ok(self.call(who, &Ask { method: Method::GET, route, body: None }).await?.0)
    }

    /// Reads one thing; `None` when it is not there.
    pub(super) async fn look<T: DeserializeOwned>(
        &self,
        who: As,
        route: &str,
    ) -> Result<Option<T>, GitHubError> {
        match self.get(who, route).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_missing() && !error.is_gone_installation() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks something by a body, which changes nothing.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        who: As,
        route: &str,
        body: &Value,
    ) -> Result<T, GitHubError> {
        Ok(self.call(who, &Ask { method: Method::POST, route, body: Some(body) }).await?.0)
    }

    /// Writes, once; a body of null is none. Whoever repeats it looks first whether it was done.
    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        who: As,
        kind: Kind,
        method: Method,
        route: &str,
        body: &Value,
    ) -> Result<T, GitHubError> {
        self.wait_for_turn(who, kind).await?;
        let body = Some(body).filter(|body| !body.is_null());
        Ok(self.call(who, &Ask { method, route, body }).await?.0)
    }

    /// Waits until a write may be sent. A silence that began meanwhile ends the wait.
    async fn wait_for_turn(&self, who: As, kind: Kind) -> Result<(), GitHubError> {
        let distance = Duration::from_millis(self.config.write_interval_ms);
        let turn = self.limits.write_turn(who.key(), distance).await;
        self.check_silence(who.key())?;
        let mut waited = Duration::ZERO;
        while kind == Kind::Content
            && let Err(wait) = self.budget.take(who.key())
        {
            waited += wait;
            if waited >= LONGEST_WAIT {
                return Err(GitHubError::RateLimited(Utc::now() + wait));
            }
            tokio::time::sleep(wait).await;
        }
        drop(turn);
        Ok(())
    }

    fn check_silence(&self, key: u64) -> Result<(), GitHubError> {
        self.limits.silence(key).map_or(Ok(()), |until| Err(GitHubError::RateLimited(until)))
    }

    /// Walks over pages until `take` finds something in one; `route` has its own query already.
    pub(super) async fn walk<P: DeserializeOwned, R>(
        &self,
        who: As,
        route: &str,
        take: impl FnMut(P) -> Option<R>,
    ) -> Result<Option<R>, GitHubError> {
        self.walk_far(who, route, MOST_PAGES, take).await
    }

    /// Walks over at most `most` pages until `take` finds something in one.
    pub(super) async fn walk_far<P: DeserializeOwned, R>(
        &self,
        who: As,
        route: &str,
        most: usize,
        mut take: impl FnMut(P) -> Option<R>,
    ) -> Result<Option<R>, GitHubError> {
        let mut route = format!("{route}&per_page=100");
        for _ in 0..most {
            let ask = Ask { method: Method::GET, route: &route, body: None };
            let (page, headers) = self.call(who, &ask).await?;
            if let Some(found) = take(page) {
                return Ok(Some(found));
            }
            let Some(next) = next_page(&headers) else { return Ok(None) };
            let next = self.transport.route_of(next);
            let unreadable = || GitHubError::Unreadable(ask.name(), "its next page is elsewhere".to_owned());
            route = next.ok_or_else(unreadable)?;
        }
        Err(GitHubError::TooMany(format!("GET {route}"), most))
    }

    /// Walks over a list until `find` finds something.
    pub(super) async fn find<T: DeserializeOwned, R>(
        &self,
        who: As,
        route: &str,
        find: impl Fn(T) -> Option<R>,
    ) -> Result<Option<R>, GitHubError> {
        self.walk(who, route, |page: Vec<T>| page.into_iter().find_map(&find)).await
    }

    /// Reads a whole list.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        who: As,
        route: &str,
    ) -> Result<Vec<T>, GitHubError> {
        let mut all = Vec::new();
        self.walk(who, route, |page: Vec<T>| {
            all.extend(page);
            None::<()>
        })
        .await?;
        Ok(all)
    }

    async fn call<T: DeserializeOwned>(&self, who: As, ask: &Ask<'_>) -> Result<(T, HeaderMap), GitHubError> {
        let answer = match who {
            As::App => self.as_app(ask).await?,
            As::Installation(id) => self.as_installation(id, ask).await?,
        };
        Ok((self.read(ask, who.key(), &answer)?, answer.headers))
    }

    /// Sends one request, unless GitHub asked for silence, and learns the time from the answer.
    pub(super) async fn exchange(
        &self,
        ask: &Ask<'_>,
        key: u64,
        bearer: &SecretString,
    ) -> Result<Answer, GitHubError> {
        self.check_silence(key)?;
        let answer = self.transport.send(ask, Some(bearer)).await?;
        self.clock.learn(&answer.headers);
        Ok(answer)
    }

    /// Reads an answer: what was asked for, or why not.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        ask: &Ask<'_>,
        key: u64,
        answer: &Answer,
    ) -> Result<T, GitHubError> {
        let (status, headers) = (answer.status, &answer.headers);
        if status.is_success() {
            self.limits.learn(key, status, headers, "");
            let bytes = if answer.body.is_empty() { b"null" } else { answer.body.as_ref() };
            return serde_json::from_slice(bytes)
                .map_err(|error| GitHubError::Unreadable(ask.name(), error.to_string()));
        }
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let message = message(&problem).to_owned();
        if let Some(until) = self.limits.learn(key, status, headers, &message) {
            return Err(GitHubError::RateLimited(until));
        }
        let details = problem.get("errors").map(Value::to_string).unwrap_or_default();
        Err(GitHubError::Status { status: status.as_u16(), call: ask.name(), message, details })
    }
}

/// Returns the address of the next page, as a `Link` header tells it.
fn next_page(headers: &HeaderMap) -> Option<&str> {
    let link = headers.get("link")?.to_str().ok()?;
    let next = link.split(',').find(|part| part.contains("rel=\"next\""))?;
    Some(next.split_once('<')?.1.split_once('>')?.0)
}
