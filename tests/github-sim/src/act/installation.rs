//! Suspending, ending and renewing the App's installation.

use crate::model::Time;
use crate::refusal::Refusal;
use crate::render::node_id;
use crate::world::World;
use chrono::Utc;
use serde_json::{Value, json};

/// How it stands with the App's installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It works.
    Installed,
    /// Its owner suspended it.
    Suspended(Time),
    /// It was taken away.
    Gone,
}

impl World {
    /// Refuses where the installation is gone or suspended, in GitHub's words.
    pub(crate) fn check_installation(&self) -> Result<(), Refusal> {
        match self.app.standing {
            Standing::Installed => Ok(()),
            Standing::Suspended(_) => Err(Refusal::new(403, "This installation has been suspended")),
            Standing::Gone => Err(Refusal::not_found()),
        }
    }

    pub(crate) fn suspend_installation(&mut self) {
        self.app.standing = Standing::Suspended(Utc::now());
        self.emit_installation("suspend");
    }

    pub(crate) fn unsuspend_installation(&mut self) {
        self.app.standing = Standing::Installed;
        self.emit_installation("unsuspend");
    }

    pub(crate) fn uninstall(&mut self) {
        self.tokens.clear();
        self.app.standing = Standing::Gone;
        self.emit_installation("deleted");
    }

    /// Installs the App anew, which gives the installation another id.
    pub(crate) fn install(&mut self) -> u64 {
        self.app.installation_id = self.id();
        self.app.standing = Standing::Installed;
        self.emit_installation("created");
        self.app.installation_id
    }

    fn emit_installation(&mut self, action: &str) {
        let reached = self.repositories.iter().filter(|repo| repo.installed);
        let repositories: Vec<Value> = reached
            .map(|repo| {
                json!({"id": repo.id, "node_id": node_id("R", repo.id), "name": repo.name,
                       "full_name": repo.full_name(), "private": repo.private})
            })
            .collect();
        let payload = json!({
            "action": action,
            "installation": self.installation_json(),
            "repositories": repositories,
            "requester": null,
            "sender": self.user_json(&self.app.account),
        });
        self.owe("installation", Some(action), None, payload);
    }
}
