//! The `[github]` section.

use serde::Deserialize;

use super::{SecretSource, invalid};
use crate::error::UserError;

/// Which GitHub App the server is, and where that GitHub is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitHubConfig {
    /// Holds the App's id, a number that the App's settings page shows.
    pub app_id: u64,
    /// Tells where the App's private key (PEM) comes from.
    pub private_key: SecretSource,
    /// Tells where the webhook's secret comes from; a server that polls has none.
    pub webhook_secret: Option<SecretSource>,
    /// Holds the address of the REST API; GitHub Enterprise Server has `https://HOST/api/v3`.
    #[serde(default = "api_url")]
    pub api_url: String,
    /// Holds the address of the web pages, below which git reaches `OWNER/NAME.git`.
    #[serde(default = "web_url")]
    pub web_url: String,
    /// Holds the least time between two writes of an installation, in milliseconds; GitHub asks for
    /// a second.
    #[serde(default = "write_interval_ms")]
    pub write_interval_ms: u64,
    /// Holds how many comments and pull requests an installation writes at most in a minute.
    #[serde(default = "content_per_minute")]
    pub content_per_minute: usize,
    /// Holds how many comments and pull requests an installation writes at most in an hour.
    #[serde(default = "content_per_hour")]
    pub content_per_hour: usize,
    /// Tells whether a thread carries a label that shows how its briefs stand.
    #[serde(default = "yes")]
    pub labels: bool,
    /// Tells whether each run has a check run beside its commit.
    #[serde(default = "yes")]
    pub check_runs: bool,
}

impl GitHubConfig {
    pub(super) fn check(&self) -> Result<(), UserError> {
        self.private_key.check("github.private_key")?;
        self.webhook_secret.iter().try_for_each(|source| source.check("github.webhook_secret"))?;
        for (key, url) in [("api_url", &self.api_url), ("web_url", &self.web_url)] {
            let uri: Option<axum::http::Uri> = url.parse().ok();
            let authority = uri.as_ref().and_then(|uri| uri.authority());
            let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
            let scheme = uri.as_ref().and_then(|uri| uri.scheme_str()).unwrap_or_default();
            let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
            if authority.is_some_and(|authority| authority.as_str().contains('@')) || host.is_empty() {
                return Err(invalid(format!("github.{key} is no address of the form https://HOST.")));
            }
            if scheme != "https" && !(scheme == "http" && loopback) {
                return Err(invalid(format!(
                    "github.{key} must begin with https://, since tokens are sent there."
                )));
            }
        }
        for (key, most) in
            [("content_per_minute", self.content_per_minute), ("content_per_hour", self.content_per_hour)]
        {
            if most == 0 {
                return Err(invalid(format!("github.{key} is 0, so nothing could ever be told.")));
            }
        }
        Ok(())
    }

    /// Returns the address from which git fetches a repository, and to which it pushes.
    pub fn git_url(&self, full_name: &str) -> String {
        format!("{}/{full_name}.git", self.web_url.trim_end_matches('/'))
    }
}

fn api_url() -> String {
    "https://api.github.com".to_owned()
}

fn web_url() -> String {
    "https://github.com".to_owned()
}

fn write_interval_ms() -> u64 {
    1000
}

fn content_per_minute() -> usize {
    80
}

fn content_per_hour() -> usize {
    500
}

fn yes() -> bool {
    true
}
