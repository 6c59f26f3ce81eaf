//! Making an App from a manifest: what GitHub takes for one, and the code by which its maker gets the key.

use crate::act::Standing;
use crate::model::Time;
use crate::world::{App, World};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How long a code can be exchanged.
const CODE_LIFE: TimeDelta = TimeDelta::hours(1);
/// GitHub's limit for an App's name, in characters.
const LONGEST_NAME: usize = 34;

/// Permissions that an App may ask for, of those that GitHub has.
const PERMISSIONS: [&str; 17] = [
    "actions",
    "administration",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "environments",
    "issues",
    "members",
    "merge_queues",
    "metadata",
    "pages",
    "pull_requests",
    "repository_projects",
    "secrets",
    "statuses",
    "workflows",
];

/// Events that an App may listen to, each with the permissions of which it needs one.
const EVENTS: [(&str, &[&str]); 12] = [
    ("check_run", &["checks"]),
    ("check_suite", &["checks"]),
    ("issue_comment", &["issues", "pull_requests"]),
    ("issues", &["issues"]),
    ("label", &["metadata"]),
    ("member", &["members"]),
    ("pull_request", &["pull_requests"]),
    ("pull_request_review", &["pull_requests"]),
    ("pull_request_review_comment", &["pull_requests"]),
    ("push", &["contents"]),
    ("repository", &["metadata"]),
    ("workflow_run", &["actions"]),
];

/// What somebody wants an App to be; fields that GitHub knows and this simulator does not need are left out.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Manifest {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) redirect_url: String,
    hook_attributes: Option<Hook>,
    #[serde(default)]
    pub(crate) public: bool,
    #[serde(default)]
    pub(crate) default_permissions: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) default_events: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Hook {
    #[serde(default)]
    url: String,
    #[serde(default = "yes")]
    active: bool,
}

fn yes() -> bool {
    true
}

/// A code that was given out.
#[derive(Clone, Debug)]
pub(crate) struct ManifestCode {
    app_id: u64,
    made_at: Time,
}

impl Manifest {
    /// Reads a manifest as GitHub does; the error is what its page says.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(text).map_err(|error| format!("Error: {error}"))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Gives the address that deliveries go to, where the App has an active webhook.
    pub(crate) fn hook_url(&self) -> Option<&str> {
        self.hook_attributes.as_ref().filter(|hook| hook.active).map(|hook| hook.url.as_str())
    }

    fn check(&self) -> Result<(), String> {
        let is_address = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if self.url.is_empty() || self.hook_attributes.as_ref().is_some_and(|hook| hook.url.is_empty()) {
            return Err("Error: \"url\" wasn't supplied.".to_owned());
        }
        let hook_url = self.hook_attributes.as_ref().map_or("https://", |hook| hook.url.as_str());
        for (field, url) in
            [("url", self.url.as_str()), ("redirect_url", &self.redirect_url), ("hook url", hook_url)]
        {
            if !is_address(url) {
                return Err(format!("Error: {field} must be a valid URL."));
            }
        }
        for (name, level) in &self.default_permissions {
            let known = PERMISSIONS.contains(&name.as_str());
            if !known || !["read", "write", "admin"].contains(&level.as_str()) {
                return Err(format!(
                    "Error: Default permission records resource is not included in the list: {name}: {level}"
                ));
            }
        }
        for event in &self.default_events {
            let needs = EVENTS.iter().find(|(name, _)| name == event).map(|(_, needs)| *needs);
            let held = |name: &&str| self.default_permissions.contains_key(*name) || *name == "metadata";
            if !needs.is_some_and(|needs| needs.iter().any(held)) {
                return Err(format!("Error: Default events are not supported by permissions: {event}"));
            }
        }
        if self.hook_attributes.is_none() && !self.default_events.is_empty() {
            return Err("Error: Hook url can't be blank when there are events".to_owned());
        }
        Ok(())
    }
}

impl World {
    /// Registers an App under a name and gives the code for its credentials; the error is what the page says.
    /// This GitHub has one App: the new one takes the place of the old.
    pub(crate) fn register_app(
        &mut self,
        name: &str,
        owner: &str,
        wanted: &Manifest,
    ) -> Result<String, String> {
        let name = name.trim();
        let slug = slug(name);
        if slug.is_empty() {
            return Err("Name can't be blank".to_owned());
        }
        if name.chars().count() > LONGEST_NAME {
            return Err(format!("Name is too long (maximum is {LONGEST_NAME} characters)"));
        }
        if slug == self.app.slug || self.user(&slug).is_some() {
            return Err("Name is already taken".to_owned());
        }
        let mut permissions = wanted.default_permissions.clone();
        permissions.entry("metadata".to_owned()).or_insert_with(|| "read".to_owned());
        let mut events = wanted.default_events.clone();
        events.sort();
        let owner = self.user(owner).map_or_else(|| owner.to_owned(), |user| user.login.clone());
        let app = App {
            id: self.id(),
            slug: slug.clone(),
            name: name.to_owned(),
            account: owner,
            installation_id: self.id(),
            standing: Standing::Gone,
            permissions,
            events,
            webhook_secret: uuid::Uuid::now_v7().simple().to_string(),
            webhook_url: wanted.hook_url().map(str::to_owned),
            hook_active: wanted.hook_url().is_some(),
            hook_id: self.id(),
            created_at: Utc::now(),
        };
        self.add_user(&app.bot_login(), "Bot");
        self.repositories.iter_mut().for_each(|repo| repo.installed = false);
        self.tokens.clear();
        self.deliveries.clear();
        let code = format!("{}{}", uuid::Uuid::now_v7().simple(), self.id());
        let made_at = self.now();
        self.codes.insert(code.clone(), ManifestCode { app_id: app.id, made_at });
        self.app = app;
        self.emit_ping();
        Ok(code)
    }

    /// Takes a code, which counts once and for an hour.
    pub(crate) fn spend_code(&mut self, code: &str) -> bool {
        let now = self.now();
        let found = self.codes.remove(code);
        found.is_some_and(|code| code.app_id == self.app.id && now - code.made_at < CODE_LIFE)
    }
}

/// Makes an App's slug from its name, as GitHub does.
fn slug(name: &str) -> String {
    let dashed: String = name
        .to_lowercase()
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character } else { '-' })
        .collect();
    dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
