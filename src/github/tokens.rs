//! The App's own tokens: JWTs that it signs itself, and installation tokens that it gets for them.

use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use moka::Expiry;
use moka::future::Cache;
use moka::ops::compute::Op;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::GitHub;
use super::clock;
use super::error::GitHubError;
use super::transport::{Answer, Ask};

/// How far a JWT is dated back, for clocks that differ a little.
const DATED_BACK_S: i64 = 60;

/// How long a JWT lives; GitHub takes none that lives longer than ten minutes.
const JWT_LIFE_S: i64 = 9 * 60;

/// A token that ends sooner than this is not used any more, so that no call is given one that ends midway.
const LAST_MINUTES: TimeDelta = TimeDelta::minutes(5);

/// The App's private key.
pub(super) struct AppKey {
    key: EncodingKey,
    app_id: u64,
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppKey").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

impl AppKey {
    /// Reads an RSA key in PEM.
    pub(super) fn new(app_id: u64, private_key: &SecretString) -> Result<Self, GitHubError> {
        let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes());
        Ok(Self { key: key.map_err(|error| GitHubError::Key(error.to_string()))?, app_id })
    }

    /// Signs a JWT, dated by the time on GitHub's clock.
    pub(super) fn jwt(&self, now: DateTime<Utc>) -> Result<SecretString, GitHubError> {
        let issued = now.timestamp() - DATED_BACK_S;
        let claims = json!({"iss": self.app_id.to_string(), "iat": issued, "exp": issued + JWT_LIFE_S});
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key);
        signed.map(SecretString::from).map_err(|error| GitHubError::Key(error.to_string()))
    }
}

/// A token of an installation.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    /// Tells it from others, so that one that failed is forgotten and not its successor.
    serial: u64,
    life: Duration,
}

/// Which token: an installation's own, or the one for git on one of its repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TokenOf {
    Installation(u64),
    Git(u64, u64),
}

/// The tokens that still live; whoever wants one that is being made waits for it.
#[derive(Debug)]
pub(super) struct Tokens {
    cache: Cache<TokenOf, Token>,
    made: AtomicU64,
}

struct Life;

impl Expiry<TokenOf, Token> for Life {
    fn expire_after_create(&self, _: &TokenOf, token: &Token, _: Instant) -> Option<Duration> {
        Some(token.life)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(10_000).expire_after(Life).build();
        Self { cache, made: AtomicU64::new(0) }
    }
}

impl Tokens {
    /// Forgets a token unless another has taken its place already.
    async fn forget(&self, of: TokenOf, serial: u64) {
        let same = |token: &Token| token.serial == serial;
        let entry = self.cache.entry(of);
        entry
            .and_compute_with(|found| match found {
                Some(found) if same(found.value()) => ready(Op::Remove),
                _ => ready(Op::Nop),
            })
            .await;
    }
}

#[derive(Deserialize)]
struct Minted {
    token: String,
    expires_at: DateTime<Utc>,
}

impl GitHub {
    /// Returns a token with which git may read and write this one repository and nothing else.
    pub async fn git_token(
        &self,
        installation: u64,
        repository_id: u64,
    ) -> Result<SecretString, GitHubError> {
        Ok(self.token(TokenOf::Git(installation, repository_id)).await?.secret)
    }

    /// Forgets a repository's token for git, so that the next try makes a new one: git does not say
    /// whether it failed because the token had ended.
    pub async fn forget_git_token(&self, installation: u64, repository_id: u64) {
        self.tokens.cache.invalidate(&TokenOf::Git(installation, repository_id)).await;
    }

    async fn token(&self, of: TokenOf) -> Result<Token, GitHubError> {
        let made = self.tokens.cache.try_get_with(of, self.mint(of)).await;
        made.map_err(|error| GitHubError::clone(&error))
    }

    async fn mint(&self, of: TokenOf) -> Result<Token, GitHubError> {
        let (installation, order) = match of {
            TokenOf::Installation(id) => (id, json!({})),
            TokenOf::Git(id, repository) => {
                (id, json!({"repository_ids": [repository], "permissions": {"contents": "write"}}))
            }
        };
        let route = format!("/app/installations/{installation}/access_tokens");
        let ask = Ask { method: Method::POST, route: &route, body: Some(&order) };
        let answer = self.as_app(&ask).await?;
        let now = clock::date(&answer.headers).unwrap_or_else(|| self.clock.now());
        let minted: Minted = self.read(&ask, 0, &answer)?;
        let life = (minted.expires_at - now - LAST_MINUTES).to_std().unwrap_or_default();
        let serial = self.tokens.made.fetch_add(1, Ordering::Relaxed);
        Ok(Token { secret: SecretString::from(minted.token), serial, life })
    }

    /// Makes a call as the App. When GitHub refuses the JWT, its answer has told the right time: another is
    /// signed, and the call is made once more, since nothing was done.
    pub(super) async fn as_app(&self, ask: &Ask<'_>) -> Result<Answer, GitHubError> {
        let answer = self.exchange(ask, 0, &self.key.jwt(self.clock.now())?).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        self.exchange(ask, 0, &self.key.jwt(self.clock.now())?).await
    }

    /// Makes a call as an installation. When GitHub refuses the token, another is made, and the call is made
    /// once more, since nothing was done.
    pub(super) async fn as_installation(&self, id: u64, ask: &Ask<'_>) -> Result<Answer, GitHubError> {
        let of = TokenOf::Installation(id);
        let token = self.token(of).await?;
        let answer = self.exchange(ask, id, &token.secret).await?;
        if answer.status.as_u16() != 401 {
            return Ok(answer);
        }
        self.tokens.forget(of, token.serial).await;
        let token = self.token(of).await?;
        self.exchange(ask, id, &token.secret).await
    }
}

/// Reads the `message` of an answer that says no.
pub(super) fn message(problem: &Value) -> &str {
    problem["message"].as_str().unwrap_or_default()
}
