//! Accounts and teams.

use serde::Deserialize;

use super::client::{As, GitHub};
use super::error::GitHubError;
use super::installation::encode;
use crate::config::Team;

/// An account as GitHub tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct KnownAccount {
    /// Holds the id.
    pub id: u64,
    /// Holds the name.
    pub login: String,
    /// Holds `User`, `Bot` or `Organization`.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
    url: String,
}

impl GitHub {
    /// Looks an account up by its name; `None` when nobody has it.
    pub async fn account(&self, installation: u64, login: &str) -> Result<Option<KnownAccount>, GitHubError> {
        self.look(As::Installation(installation), &format!("/users/{}", encode(login))).await
    }

    /// Tells whether an account is an active member of a team, and the team is the one with the id that was
    /// named, if one was. The caller knows that the name is the account's.
    ///
    /// Fails with status 403 where the App may not read the organisation's members.
    pub async fn is_member(&self, installation: u64, team: &Team, login: &str) -> Result<bool, GitHubError> {
        let (organization, slug) = (encode(&team.organization), encode(&team.slug));
        let route = format!("/orgs/{organization}/teams/{slug}/memberships/{}", encode(login));
        let found: Option<Membership> = self.look(As::Installation(installation), &route).await?;
        Ok(found.is_some_and(|found| {
            found.state == "active" && team.id.is_none_or(|id| team_id(&found.url) == Some(id))
        }))
    }
}

/// Reads a team's id from a membership's address: `…/teams/42/memberships/NAME`, or
/// `…/organizations/7/team/42/memberships/NAME`.
fn team_id(url: &str) -> Option<u64> {
    let before = url.rsplit_once("/memberships/")?.0;
    let (rest, id) = before.rsplit_once('/')?;
    (rest.ends_with("/team") || rest.ends_with("/teams")).then(|| id.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teams_id_stands_in_the_address_of_a_membership() {
        assert_eq!(team_id("https://api.github.com/teams/42/memberships/maria"), Some(42));
        assert_eq!(team_id("https://api.github.com/organizations/7/team/42/memberships/maria"), Some(42));
        assert_eq!(team_id("https://api.github.com/orgs/o/teams/release/memberships/maria"), None);
        assert_eq!(team_id("https://api.github.com/teams/memberships"), None);
    }
}
