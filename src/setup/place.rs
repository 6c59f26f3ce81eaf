//! Which GitHub it is, and where its pages and its API are.

use axum::http::Uri;
use serde::{Deserialize, Serialize};

use crate::error::UserError;

/// A GitHub, and the account there that shall own the App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Holds the address of its pages, without a slash at the end.
    pub web_url: String,
    /// Names the organization that shall own the App; `None` for the person who clicks.
    pub organization: Option<String>,
}

/// Makes the error for an option that cannot be used.
pub fn unusable(message: impl Into<String>, help: impl Into<String>) -> UserError {
    UserError::new("setup-option", message, help)
}

/// Tells whether an address leads to this machine itself.
fn is_loopback(uri: &Uri) -> bool {
    matches!(uri.host().unwrap_or_default(), "localhost" | "127.0.0.1" | "[::1]")
}

/// Reads an address, which has to be `https://`, or `http://` on this machine itself.
fn read_address(text: &str, option: &str) -> Result<Uri, UserError> {
    let refused = || {
        unusable(
            format!("{option} {text} is no address of the form https://HOST."),
            "Give it whole; plain http:// is taken for this machine itself only.",
        )
    };
    let uri: Uri = text.parse().map_err(|_| refused())?;
    let plain_host = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let secure = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_loopback(&uri));
    if plain_host && secure { Ok(uri) } else { Err(refused()) }
}

impl Place {
    /// Reads which GitHub it is; fails with `setup-option` for an address or a name that cannot be one.
    pub fn read(github_url: &str, organization: Option<&str>) -> Result<Self, UserError> {
        let uri = read_address(github_url, "--github-url")?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(unusable(
                format!("--github-url {github_url} has more than a host."),
                "Give the address of its start page; the API is found from it.",
            ));
        }
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 39
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if let Some(name) = organization.filter(|name| !is_name(name)) {
            return Err(unusable(
                format!("--organization {name} cannot be the name of an organization."),
                "Give it as it stands in the address of its page.",
            ));
        }
        let web_url = github_url.trim_end_matches('/').to_owned();
        Ok(Self { web_url, organization: organization.map(str::to_owned) })
    }

    /// Returns the address of the API: GitHub's own, that of a data residency, or that of an Enterprise Server.
    pub fn api_url(&self) -> String {
        let host = self.web_url.split("://").nth(1).unwrap_or_default();
        match host {
            "github.com" | "www.github.com" => "https://api.github.com".to_owned(),
            _ if host.ends_with(".ghe.com") => format!("https://api.{host}"),
            _ => format!("{}/api/v3", self.web_url),
        }
    }

    /// Returns the page that takes a manifest.
    pub fn new_app_page(&self, state: &str) -> String {
        match &self.organization {
            Some(name) => format!("{}/organizations/{name}/settings/apps/new?state={state}", self.web_url),
            None => format!("{}/settings/apps/new?state={state}", self.web_url),
        }
    }

    /// Returns the page on which the owner finds their Apps.
    pub fn apps_page(&self) -> String {
        match &self.organization {
            Some(name) => format!("{}/organizations/{name}/settings/apps", self.web_url),
            None => format!("{}/settings/apps", self.web_url),
        }
    }

    /// Returns the page on which an App's permissions are changed.
    pub fn permissions_page(&self, slug: &str) -> String {
        format!("{}/{slug}/permissions", self.apps_page())
    }

    /// Returns the page on which an App is installed.
    pub fn install_page(&self, slug: &str) -> String {
        format!("{}/apps/{slug}/installations/new", self.web_url)
    }

    /// Reads where deliveries shall go; without a path it is that of the server. GitHub refuses what only this
    /// machine reaches, and so does this, unless GitHub itself is on it.
    pub fn webhook_url(&self, text: &str) -> Result<String, UserError> {
        let uri = read_address(text, "--webhook-url")?;
        let here = self.web_url.parse::<Uri>().is_ok_and(|github| is_loopback(&github));
        if is_loopback(&uri) && !here {
            return Err(unusable(
                format!("--webhook-url {text} is this machine itself, which GitHub does not reach."),
                "Give the address that your proxy or relay has on the internet, or choose --polling.",
            ));
        }
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let base = text.trim_end_matches('/');
        Ok(if bare { format!("{base}/webhooks/github") } else { text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str, organization: Option<&str>) -> Place {
        Place::read(url, organization).unwrap()
    }

    #[test]
    fn each_github_has_its_api() {
        for (web, api) in [
            ("https://github.com/", "https://api.github.com"),
            ("https://octo.ghe.com", "https://api.octo.ghe.com"),
            ("https://ghe.example.com", "https://ghe.example.com/api/v3"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000/api/v3"),
        ] {
            assert_eq!(place(web, None).api_url(), api);
        }
    }

    #[test]
    fn pages_are_the_persons_or_the_organizations() {
        let own = place("https://github.com", None);
        assert_eq!(own.new_app_page("s"), "https://github.com/settings/apps/new?state=s");
        let octo = place("https://github.com", Some("octo"));
        assert_eq!(octo.new_app_page("s"), "https://github.com/organizations/octo/settings/apps/new?state=s");
        assert_eq!(octo.install_page("x"), "https://github.com/apps/x/installations/new");
        let page = "https://github.com/organizations/octo/settings/apps/x/permissions";
        assert_eq!(octo.permissions_page("x"), page);
    }

    #[test]
    fn what_cannot_be_an_address_or_a_name_is_refused() {
        for url in [
            "github.com",
            "http://github.com",
            "https://a@github.com",
            "https://github.com/octo",
            "https://",
            "",
        ] {
            assert_eq!(Place::read(url, None).unwrap_err().code, "setup-option", "{url}");
        }
        for name in ["octo/app", "", "a b", "?x"] {
            assert_eq!(
                Place::read("https://github.com", Some(name)).unwrap_err().code,
                "setup-option",
                "{name}"
            );
        }
    }

    #[test]
    fn a_webhook_has_the_servers_path_and_is_no_loopback_address() {
        let github = place("https://github.com", None);
        let full = "https://briefs.example.com/webhooks/github";
        assert_eq!(github.webhook_url("https://briefs.example.com").unwrap(), full);
        assert_eq!(github.webhook_url("https://briefs.example.com/").unwrap(), full);
        assert_eq!(github.webhook_url("https://a.example.com/b").unwrap(), "https://a.example.com/b");
        assert!(github.webhook_url("https://localhost/hook").is_err());
        assert!(github.webhook_url("http://briefs.example.com").is_err());
        assert!(place("http://127.0.0.1:3000", None).webhook_url("http://127.0.0.1:8080").is_ok());
    }
}
