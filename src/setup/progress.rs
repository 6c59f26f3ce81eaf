//! How far a set-up is: what is kept between its runs, and what one that goes on may still change.

use serde::{Deserialize, Serialize};

use super::manifest::LONGEST_NAME;
use super::place::{Place, unusable};
use crate::error::UserError;
use crate::github::app::Registration;

/// What the App shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Tells which GitHub it is and who shall own the App.
    pub place: Place,
    /// Holds the name that GitHub is asked for; whoever clicks can change it there.
    pub name: String,
    /// Holds where deliveries go; `None` when the server asks GitHub instead.
    pub webhook_url: Option<String>,
}

/// What somebody says about the App when a set-up begins or goes on; what is not said stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Names the GitHub by the address of its start page.
    pub github_url: Option<String>,
    /// Names the organization that shall own the App.
    pub organization: Option<String>,
    /// Names the App.
    pub name: Option<String>,
    /// Says where deliveries shall go.
    pub webhook_url: Option<String>,
    /// Says that the server shall ask GitHub.
    pub polling: bool,
}

/// Where a set-up is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody is asked to click.
    Asked(Asked),
    /// GitHub sent the browser back with a code, which is not exchanged yet.
    Returned {
        /// Holds the code.
        code: String,
    },
    /// GitHub told the credentials, which do not lie in their files yet.
    Converted(Registration),
    /// The credentials and the configuration are written.
    Registered {
        /// Holds the App's id.
        app_id: u64,
        /// Holds the name by which addresses know it.
        slug: String,
    },
}

/// What tells the browser of the one who was asked from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Stands in the page's address, so that no other user of the machine finds it.
    pub key: String,
    /// Goes to GitHub and comes back with the code.
    pub state: String,
    /// Holds the port of the page, so that a browser that comes back late finds it; 0 before there is one.
    pub port: u16,
}

/// A set-up that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Progress {
    /// Holds the version of this format.
    pub format: u32,
    /// Tells what the App shall be.
    pub plan: Plan,
    /// Tells where it is.
    pub stage: Stage,
}

/// The version of the format.
pub const FORMAT: u32 = 1;

/// What goes on differently than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// All is as it was.
    Nothing,
    /// Nothing was made yet, so another App is asked for.
    Plan,
    /// The App is there, and its deliveries shall go elsewhere.
    WebhookUrl(String),
}

impl Plan {
    /// Reads what a set-up that begins shall make; `random` tells a name from others where there is none.
    ///
    /// Fails with `setup-option`.
    pub fn new(wish: &Wish, random: &str) -> Result<Self, UserError> {
        let github_url = wish.github_url.as_deref().unwrap_or("https://github.com");
        let place = Place::read(github_url, wish.organization.as_deref())?;
        let webhook_url = wish.webhook_url.as_deref().map(|url| place.webhook_url(url)).transpose()?;
        let own = || {
            let whose = place.organization.as_deref().unwrap_or(random);
            format!("codex-brief-{whose}").chars().take(LONGEST_NAME).collect()
        };
        let name = wish.name.clone().unwrap_or_else(own);
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(unusable(
                format!(
                    "--name `{name}` is empty, or longer than the {LONGEST_NAME} characters that GitHub allows."
                ),
                "Choose a shorter one that nobody on GitHub has.",
            ));
        }
        Ok(Self { place, name, webhook_url })
    }

    /// Returns what of this plan stands when somebody goes on with another wish.
    fn with(&self, wish: &Wish) -> Result<Self, UserError> {
        let said =
            |wished: &Option<String>, before: &str| Some(wished.clone().unwrap_or_else(|| before.to_owned()));
        let before = self.webhook_url.clone().filter(|_| !wish.polling);
        let whole = Wish {
            github_url: said(&wish.github_url, &self.place.web_url),
            organization: wish.organization.clone().or_else(|| self.place.organization.clone()),
            name: said(&wish.name, &self.name),
            webhook_url: wish.webhook_url.clone().or(before),
            polling: wish.polling,
        };
        Self::new(&whole, "")
    }
}

impl Progress {
    /// Takes a wish up, and tells what becomes different. Once GitHub made the App, only the address of its
    /// deliveries can still change here.
    ///
    /// Fails with `setup-other` for what cannot change any more.
    pub fn take_up(&mut self, wish: &Wish) -> Result<Change, UserError> {
        let plan = self.plan.with(wish)?;
        if plan == self.plan {
            return Ok(Change::Nothing);
        }
        if matches!(self.stage, Stage::Asked(_)) {
            self.plan = plan;
            return Ok(Change::Plan);
        }
        let elsewhere = plan.webhook_url.clone().filter(|_| self.plan.webhook_url.is_some());
        match elsewhere {
            Some(url) if matches!(self.stage, Stage::Registered { .. }) => {
                let same = Self { plan: Plan { webhook_url: None, ..plan.clone() }, ..self.clone() };
                if same.plan == (Plan { webhook_url: None, ..self.plan.clone() }) {
                    self.plan = plan;
                    return Ok(Change::WebhookUrl(url));
                }
                Err(self.other())
            }
            _ => Err(self.other()),
        }
    }

    fn other(&self) -> UserError {
        UserError::new(
            "setup-other",
            format!(
                "The set-up that goes on here is of the App `{}` on {}, which GitHub has made already.",
                self.plan.name, self.plan.place.web_url
            ),
            "Leave the options out that say otherwise, name another folder by --credentials and another file by \
             --config, or begin anew by --replace.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(webhook: Option<&str>) -> Wish {
        Wish { webhook_url: webhook.map(str::to_owned), ..Wish::default() }
    }

    fn progress(webhook: Option<&str>, stage: Stage) -> Progress {
        Progress { format: FORMAT, plan: Plan::new(&wish(webhook), "1f2e").unwrap(), stage }
    }

    fn asked() -> Stage {
        Stage::Asked(Asked { key: "k".to_owned(), state: "s".to_owned(), port: 1 })
    }

    fn registered() -> Stage {
        Stage::Registered { app_id: 7, slug: "x".to_owned() }
    }

    #[test]
    fn a_name_is_one_that_github_takes() {
        assert_eq!(Plan::new(&Wish::default(), "1f2e").unwrap().name, "codex-brief-1f2e");
        let organization = Some("an-organization-with-a-very-long-name".to_owned());
        let long = Plan::new(&Wish { organization, ..Wish::default() }, "").unwrap();
        assert_eq!(long.name, "codex-brief-an-organization-with-a");
        for name in ["", " ", "a name that is longer than 34 chars"] {
            let wish = Wish { name: Some(name.to_owned()), ..Wish::default() };
            assert_eq!(Plan::new(&wish, "").unwrap_err().code, "setup-option");
        }
    }

    #[test]
    fn before_the_click_everything_can_change_and_what_is_not_said_stays() {
        let mut before = progress(Some("https://a.example.com"), asked());
        assert_eq!(before.take_up(&Wish::default()).unwrap(), Change::Nothing);
        assert_eq!(before.take_up(&wish(Some("https://b.example.com"))).unwrap(), Change::Plan);
        assert_eq!(before.plan.webhook_url.as_deref(), Some("https://b.example.com/webhooks/github"));
        assert_eq!(before.take_up(&Wish { polling: true, ..Wish::default() }).unwrap(), Change::Plan);
        assert_eq!((before.plan.webhook_url, before.plan.name.as_str()), (None, "codex-brief-1f2e"));
    }

    #[test]
    fn after_it_only_the_address_of_deliveries_can() {
        let mut done = progress(Some("https://a.example.com"), registered());
        assert_eq!(done.take_up(&Wish::default()).unwrap(), Change::Nothing);
        let there = "https://b.example.com/webhooks/github".to_owned();
        assert_eq!(done.take_up(&wish(Some(&there))).unwrap(), Change::WebhookUrl(there));
        for other in [
            Wish { polling: true, ..Wish::default() },
            Wish { organization: Some("octo".to_owned()), ..Wish::default() },
            Wish {
                name: Some("other".to_owned()),
                webhook_url: Some("https://c.example.com".to_owned()),
                ..Wish::default()
            },
        ] {
            assert_eq!(done.take_up(&other).unwrap_err().code, "setup-other", "{other:?}");
        }
        let mut polls = progress(None, registered());
        assert_eq!(polls.take_up(&wish(Some("https://a.example.com"))).unwrap_err().code, "setup-other");
    }

    #[test]
    fn what_is_kept_reads_back() {
        let registration = Registration {
            id: 7,
            slug: "x".to_owned(),
            html_url: "https://github.com/apps/x".to_owned(),
            pem: "a key".to_owned().into(),
            webhook_secret: Some("a secret".to_owned().into()),
        };
        for stage in
            [asked(), Stage::Returned { code: "c".to_owned() }, Stage::Converted(registration), registered()]
        {
            let text = serde_json::to_string(&progress(None, stage)).unwrap();
            let back: Progress = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), text);
        }
    }
}
