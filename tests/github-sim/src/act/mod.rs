//! Every change to the world, the same whether a user makes it or the App by the API.

mod checks;
mod comments;
mod installation;
mod issues;
mod labels;
mod manifest;
mod people;
mod pulls;
mod repositories;
mod reviews;

pub(crate) use checks::CheckChange;
pub(crate) use installation::Standing;
pub(crate) use issues::IssueChange;
pub(crate) use labels::LabelChange;
pub(crate) use manifest::{Manifest, ManifestCode};
pub(crate) use pulls::{NewPull, PullChange};
pub(crate) use reviews::NewReviewComment;

use crate::model::Edit;
use crate::refusal::Refusal;
use crate::world::World;

/// GitHub's limit for bodies, in characters.
pub(crate) const LONGEST_BODY: usize = 65_536;
/// GitHub's limit for titles, in characters.
const LONGEST_TITLE: usize = 256;

/// Who makes a change.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) login: String,
    pub(crate) by_app: bool,
}

impl Edit {
    fn by(actor: &Actor) -> Self {
        Self { by: actor.login.clone(), at: chrono::Utc::now() }
    }
}

impl World {
    /// Gives the App's bot as the one who acts.
    pub(crate) fn bot(&self) -> Actor {
        Actor { login: self.app.bot_login(), by_app: true }
    }

    /// Gives a user as the one who acts; refuses a login that nobody has.
    pub(crate) fn person(&self, login: &str) -> Result<Actor, Refusal> {
        let user = self.user(login).ok_or_else(|| Refusal::new(404, format!("there is no user {login}")))?;
        Ok(Actor { login: user.login.clone(), by_app: user.login == self.app.bot_login() })
    }
}

fn check_title(resource: &str, title: &str) -> Result<(), Refusal> {
    if title.trim().is_empty() {
        return Err(Refusal::field(resource, "title", "missing_field"));
    }
    if title.chars().count() > LONGEST_TITLE {
        return Err(Refusal::custom(resource, "title is too long (maximum is 256 characters)"));
    }
    Ok(())
}

fn check_body(resource: &str, body: &str) -> Result<(), Refusal> {
    if body.chars().count() > LONGEST_BODY {
        return Err(Refusal::invalid(serde_json::json!({
            "resource": resource, "code": "unprocessable", "field": "data",
            "message": "Body is too long (maximum is 65536 characters)",
        })));
    }
    Ok(())
}
