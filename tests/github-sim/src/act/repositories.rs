//! Renaming, transferring, archiving and protecting a repository.

use super::Actor;
use crate::refusal::Refusal;
use crate::world::World;
use serde_json::json;

impl World {
    /// Gives a repository a new name; the old one leads to it until another repository takes it.
    pub(crate) fn rename_repository(
        &mut self,
        repository: &str,
        actor: &Actor,
        name: &str,
    ) -> Result<(), Refusal> {
        let owner = self.repository(repository)?.owner.clone();
        let from = self.repository(repository)?.name.clone();
        self.move_repository(repository, &owner, name)?;
        let changes = json!({"changes": {"repository": {"name": {"from": from}}}});
        self.emit("repository", "renamed", &format!("{owner}/{name}"), actor, changes);
        Ok(())
    }

    /// Gives a repository to another account, which is made when missing. The one installation goes with
    /// it, as when the new owner has the App installed too.
    pub(crate) fn transfer_repository(
        &mut self,
        repository: &str,
        actor: &Actor,
        owner: &str,
    ) -> Result<(), Refusal> {
        let (from, name) = {
            let repo = self.repository(repository)?;
            (repo.owner.clone(), repo.name.clone())
        };
        self.add_user(owner, "Organization");
        self.move_repository(repository, owner, &name)?;
        let (mut former, api) = (self.user_json(&from), self.base.clone());
        let kind = if former["type"] == "Organization" { "organization" } else { "user" };
        if kind == "organization" {
            former = json!({
                "login": from, "id": former["id"], "node_id": former["node_id"], "description": null,
                "url": format!("{api}/orgs/{from}"),
                "repos_url": format!("{api}/orgs/{from}/repos"),
                "events_url": format!("{api}/orgs/{from}/events"),
                "hooks_url": format!("{api}/orgs/{from}/hooks"),
                "issues_url": format!("{api}/orgs/{from}/issues"),
                "members_url": format!("{api}/orgs/{from}/members{{/member}}"),
                "public_members_url": format!("{api}/orgs/{from}/public_members{{/member}}"),
                "avatar_url": former["avatar_url"],
            });
        }
        let changes = json!({"changes": {"owner": {"from": {kind: former}}}});
        self.emit("repository", "transferred", &format!("{owner}/{name}"), actor, changes);
        Ok(())
    }

    fn move_repository(&mut self, repository: &str, owner: &str, name: &str) -> Result<(), Refusal> {
        let new = format!("{owner}/{name}");
        if self.repository(&new).is_ok() {
            return Err(Refusal::custom("Repository", "name already exists on this account"));
        }
        let repo = self.repository_mut(repository)?;
        let (old, id) = (repo.full_name(), repo.id);
        owner.clone_into(&mut repo.owner);
        name.clone_into(&mut repo.name);
        self.moved.insert(old.to_lowercase(), id);
        self.moved.remove(&new.to_lowercase());
        Ok(())
    }

    /// Finds the repository that an old name leads to.
    pub(crate) fn moved_to(&self, full_name: &str) -> Option<&crate::model::Repository> {
        if self.repository(full_name).is_ok() {
            return None;
        }
        let id = self.moved.get(&full_name.to_lowercase())?;
        self.repositories.iter().find(|repo| repo.id == *id)
    }
}
