//! The configuration that a set-up writes.

use std::path::Path;

use super::folder::{KEY, SECRET};
use super::place::Place;

const TEMPLATE: &str = include_str!("template.toml");

/// What the configuration tells of the App.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Tells which GitHub it is.
    pub place: &'a Place,
    /// Holds the App's id.
    pub app_id: u64,
    /// Holds the name by which addresses know it.
    pub slug: &'a str,
    /// Holds the folder of the credentials, as the configuration names it.
    pub credentials: &'a Path,
    /// Tells whether GitHub calls the server.
    pub webhook: bool,
}

/// Writes the configuration of a server that is this App.
pub fn config(told: &Told<'_>) -> String {
    let path = |name: &str| quoted(&told.credentials.join(name).to_string_lossy());
    let secret = match told.webhook {
        true => format!("webhook_secret = {{ file = {} }}\n", path(SECRET)),
        false => String::new(),
    };
    let addresses = match told.place.web_url.as_str() {
        "https://github.com" => String::new(),
        web => format!("api_url = {}\nweb_url = {}\n", quoted(&told.place.api_url()), quoted(web)),
    };
    let hooks = if told.webhook { ", and webhooks at /webhooks/github" } else { "" };
    let page = told.place.install_page(told.slug).replace("/installations/new", "");
    [
        ("@HOOKS@", hooks),
        ("@NAME@", told.slug),
        ("@PAGE@", &page),
        ("@ID@", &told.app_id.to_string()),
        ("@KEY@", &path(KEY)),
        ("@SECRET@", &secret),
        ("@ADDRESSES@", &addresses),
        ("@MODE@", if told.webhook { "push" } else { "polling" }),
    ]
    .iter()
    .fold(TEMPLATE.to_owned(), |text, (place, value)| text.replace(place, value))
}

/// Writes a text as TOML does.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn told(url: &str, webhook: bool, credentials: &str) -> Config {
        let place = Place::read(url, None).unwrap();
        let credentials = Path::new(credentials);
        let text = config(&Told { place: &place, app_id: 42, slug: "my-briefs", credentials, webhook });
        assert!(!text.contains('@'), "{text}");
        Config::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn what_is_written_is_a_configuration() {
        let polls = told("https://github.com", false, "codex-brief-app");
        assert!(polls.webhook.is_polling() && polls.github.webhook_secret.is_none());
        assert_eq!((polls.github.app_id, polls.github.api_url.as_str()), (42, "https://api.github.com"));
        let hears = told("https://ghe.example.com", true, "/a \"b\"/c\\d");
        assert_eq!(hears.github.api_url, "https://ghe.example.com/api/v3");
        assert_eq!(hears.github.web_url, "https://ghe.example.com");
        let secret = hears.github.webhook_secret.unwrap().file.unwrap();
        assert_eq!(secret, Path::new("/a \"b\"/c\\d/webhook-secret"));
    }

    #[test]
    fn every_key_that_is_commented_out_may_be_switched_on() {
        let place = Place::read("https://github.com", None).unwrap();
        let credentials = Path::new("x");
        let text = config(&Told { place: &place, app_id: 1, slug: "s", credentials, webhook: true });
        let key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let on: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| key(rest)).unwrap_or(line))
            .collect();
        assert_ne!(on.join("\n"), text.trim_end());
        Config::parse(&on.join("\n")).unwrap();
    }
}
