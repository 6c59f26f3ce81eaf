//! Who asks: the App by its signed token, or an installation by a token that was given out.

use crate::core::Shared;
use crate::model::{Repository, Time, stamp};
use crate::refusal::Refusal;
use crate::world::World;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A key made for the simulator alone; it opens nothing else anywhere.
pub(crate) const PRIVATE_KEY_PEM: &str = include_str!("test-only-app-key.pem");
const PUBLIC_KEY_PEM: &str = include_str!("test-only-app-key.pub.pem");

/// GitHub takes no App token that lives longer than this, in seconds.
const LONGEST_APP_TOKEN: i64 = 600;

/// How much of a permission is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Read,
    Write,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" | "admin" => Some(Self::Write),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What an installation token may do.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) permissions: BTreeMap<String, String>,
    /// Ids of the repositories that it was narrowed to; `None` for all of the installation.
    pub(crate) repositories: Option<Vec<u64>>,
    pub(crate) expires_at: Time,
}

impl Grant {
    pub(crate) fn allows(&self, permission: &str, level: Level) -> bool {
        let held = self.permissions.get(permission).and_then(|held| Level::parse(held));
        held.is_some_and(|held| held >= level) || (permission == "metadata" && level == Level::Read)
    }

    pub(crate) fn reaches(&self, repo: &Repository) -> bool {
        repo.installed && self.repositories.as_ref().is_none_or(|ids| ids.contains(&repo.id))
    }

    /// Refuses with GitHub's 403 unless one of the permissions is held.
    pub(crate) fn needs_any(&self, permissions: &[&str], level: Level) -> Result<(), Refusal> {
        if permissions.iter().any(|permission| self.allows(permission, level)) {
            return Ok(());
        }
        let accepted: Vec<String> =
            permissions.iter().map(|permission| format!("{permission}={}", level.name())).collect();
        Err(Refusal {
            accepted_permissions: Some(accepted.join("; ")),
            ..Refusal::new(403, "Resource not accessible by integration")
        })
    }

    pub(crate) fn needs(&self, permission: &str, level: Level) -> Result<(), Refusal> {
        self.needs_any(&[permission], level)
    }

    /// Finds a repository that the token reaches; any other does not exist for it.
    pub(crate) fn repository<'w>(
        &self,
        world: &'w World,
        owner: &str,
        name: &str,
    ) -> Result<&'w Repository, Refusal> {
        let repo = world.repository(&format!("{owner}/{name}"))?;
        if self.reaches(repo) { Ok(repo) } else { Err(Refusal::not_found()) }
    }
}

impl World {
    /// Gives out a token of the shape that GitHub uses since May 2026: about 520 characters, three parts.
    pub(crate) fn issue_token(
        &mut self,
        permissions: BTreeMap<String, String>,
        repositories: Option<Vec<u64>>,
    ) -> (String, Grant) {
        let grant = Grant { permissions, repositories, expires_at: self.now() + TimeDelta::hours(1) };
        let seed = uuid::Uuid::now_v7();
        let head = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT","kid":"simulated"}"#);
        let claims = format!(
            r#"{{"jti":"{seed}","iss":"{}","exp":"{}","pad":"{}"}}"#,
            self.base,
            stamp(grant.expires_at),
            hex::encode(filler(seed.as_bytes(), 56)),
        );
        let body = BASE64_URL_SAFE_NO_PAD.encode(claims);
        let tail = BASE64_URL_SAFE_NO_PAD.encode(filler(seed.as_bytes(), 112));
        let token = format!("ghs_{head}.{body}.{tail}");
        self.tokens.insert(token.clone(), grant.clone());
        (token, grant)
    }

    pub(crate) fn grant(&self, token: &str) -> Result<Grant, Refusal> {
        let grant = self.tokens.get(token).filter(|grant| grant.expires_at > self.now());
        let grant = grant.cloned().ok_or_else(Refusal::bad_credentials)?;
        self.check_installation().map(|()| grant)
    }
}

/// Stretches a seed to so many bytes that nobody guesses by accident.
fn filler(seed: &[u8], length: usize) -> Vec<u8> {
    let blocks = (0u8..=255).flat_map(|count| {
        let mut hash = Sha256::new();
        hash.update(seed);
        hash.update([count]);
        hash.finalize().to_vec()
    });
    blocks.take(length).collect()
}

#[derive(Deserialize)]
struct Claims {
    iss: Value,
    iat: i64,
    exp: i64,
}

/// Checks an App token: signature, issuer, and a life of at most ten minutes.
pub(crate) fn verify_app_token(token: &str, app_id: u64, now: i64) -> Result<(), Refusal> {
    let undecodable = |_| Refusal::new(401, "A JSON web token could not be decoded");
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY_PEM.as_bytes()).map_err(undecodable)?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.required_spec_claims.clear();
    // Times are checked below, with GitHub's words and without leeway.
    rules.validate_exp = false;
    let claims = decode::<Claims>(token, &key, &rules).map_err(undecodable)?.claims;
    let issuer = claims.iss.as_str().map_or_else(|| claims.iss.to_string(), str::to_owned);
    if issuer != app_id.to_string() {
        return Err(Refusal::new(404, "Integration not found"));
    }
    if claims.exp <= now {
        return Err(Refusal::new(
            401,
            "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires",
        ));
    }
    if claims.iat > now {
        return Err(Refusal::new(
            401,
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        ));
    }
    if claims.exp > now + LONGEST_APP_TOKEN || claims.exp - claims.iat > LONGEST_APP_TOKEN {
        return Err(Refusal::new(401, "'Expiration time' claim ('exp') is too far in the future"));
    }
    Ok(())
}

/// Reads the bearer token of an `Authorization` header.
pub(crate) fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    known.then_some(token.trim())
}

/// Reads the bearer token of a request.
pub(crate) fn given(parts: &Parts) -> Option<&str> {
    parts.headers.get("authorization").and_then(bearer)
}

/// Reads the password of Basic credentials whose user is `x-access-token`.
pub(crate) fn basic_token(headers: &axum::http::HeaderMap) -> Option<String> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    (user == "x-access-token").then(|| password.to_owned())
}

/// The App itself, by its signed token.
pub(crate) struct AsApp;

impl FromRequestParts<Shared> for AsApp {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, core: &Shared) -> Result<Self, Refusal> {
        let token = given(parts).ok_or_else(|| Refusal::new(401, "A JSON web token could not be decoded"))?;
        let (app_id, now) = {
            let world = core.read();
            (world.app.id, world.now().timestamp())
        };
        verify_app_token(token, app_id, now).map(|()| Self)
    }
}

/// An installation, by a token that was given out.
pub(crate) struct Caller(pub(crate) Grant);

impl std::ops::Deref for Caller {
    type Target = Grant;
    fn deref(&self) -> &Grant {
        &self.0
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, core: &Shared) -> Result<Self, Refusal> {
        let token = given(parts).ok_or_else(|| Refusal::new(401, "Requires authentication"))?;
        core.read().grant(token).map(Self)
    }
}
