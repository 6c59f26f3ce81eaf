//! What owners do: rename, transfer, archive, protect, suspend, uninstall.

use crate::log::RequestRecord;
use crate::refusal::Refusal;
use crate::repo_git;
use crate::sim::GithubSim;
use chrono::TimeDelta;

impl GithubSim {
    /// Gives a repository a new name; the old one leads to it, as on GitHub.
    ///
    /// # Errors
    /// When there is no such repository, or the name is taken.
    pub fn rename_repository(&self, repo: &str, name: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let owner = world.repository(repo)?.owner.clone();
        let actor = world.person(&owner)?;
        world.rename_repository(repo, &actor, name)
    }

    /// Gives a repository to another account; the old name leads to it, and the App stays installed.
    ///
    /// # Errors
    /// When there is no such repository, or the new owner has one of that name.
    pub fn transfer_repository(&self, repo: &str, owner: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let former = world.repository(repo)?.owner.clone();
        let actor = world.person(&former)?;
        world.transfer_repository(repo, &actor, owner)
    }

    /// Makes a repository read-only, or lets it be written to again.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn set_archived(&self, repo: &str, archived: bool) -> Result<(), Refusal> {
        self.core.write().repository_mut(repo)?.archived = archived;
        Ok(())
    }

    /// Makes a repository read-only.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn archive_repository(&self, repo: &str) -> Result<(), Refusal> {
        self.set_archived(repo, true)
    }

    /// Protects the branches that match a pattern (`*` stands for anything): every push to them is refused.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn protect_branch(&self, repo: &str, pattern: &str) -> Result<(), Refusal> {
        self.core.write().repository_mut(repo)?.protected.push(pattern.to_owned());
        Ok(())
    }

    /// Removes a branch as a user does; an open pull request from it is closed.
    ///
    /// # Errors
    /// When there is no such repository, user or branch.
    pub fn delete_branch(&self, repo: &str, as_user: &str, branch: &str) -> Result<(), Refusal> {
        let mut world = self.core.write();
        let actor = world.person(as_user)?;
        let gone = repo_git::set_ref(&world.repository(repo)?.path, &format!("refs/heads/{branch}"), None);
        gone.map_err(|_| Refusal::not_found())?;
        world.follow_branches(repo, &actor)
    }

    /// Lets GitHub sign the commits that an App makes by the API, or not, as an Enterprise Server may be set up.
    pub fn sign_commits(&self, signs: bool) {
        self.core.write().signs_commits = signs;
    }

    /// Lets GitHub make other trees by the API than it was asked for, as a defect of it would, or not.
    pub fn spoil_trees(&self, spoils: bool) {
        self.core.write().spoils_trees = spoils;
    }

    /// Takes every protection of branches away.
    ///
    /// # Errors
    /// When there is no such repository.
    pub fn unprotect_branches(&self, repo: &str) -> Result<(), Refusal> {
        self.core.write().repository_mut(repo)?.protected.clear();
        Ok(())
    }

    /// Suspends the App's installation: no token is given out, and none works.
    pub fn suspend_installation(&self) {
        self.core.write().suspend_installation();
    }

    /// Ends the suspension.
    pub fn unsuspend_installation(&self) {
        self.core.write().unsuspend_installation();
    }

    /// Uninstalls the App: the installation is unknown from then on.
    pub fn uninstall(&self) {
        self.core.write().uninstall();
    }

    /// Installs the App again and gives the installation's new id.
    pub fn install(&self) -> u64 {
        self.core.write().install()
    }

    /// Sets how many seconds this GitHub's clock is ahead of the machine's (behind, when negative).
    pub fn set_clock(&self, seconds: i64) {
        self.core.write().clock = TimeDelta::seconds(seconds);
    }

    /// Empties the delivery log, as GitHub does after three days; what is on its way stays.
    pub fn forget_deliveries(&self) {
        self.core.write().deliveries.retain(|delivery| delivery.status_code.is_none());
    }

    /// Lists the API requests that came before the end of a silence that was asked of their sender.
    pub fn early_calls(&self) -> Vec<RequestRecord> {
        self.look(|world| world.early_calls())
    }

    /// Lists the requests by which the App's installation created content.
    pub fn content_requests(&self) -> Vec<RequestRecord> {
        self.look(|world| world.content_requests(world.app.installation_id))
    }
}
