//! Where a repository is now, whatever it was called when its brief came: it is known by its id.

use super::Server;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::store::SeenRepository;
use crate::store::models::BriefRow;

/// A repository with its present name and installation.
#[derive(Debug, Clone)]
pub(super) struct Location {
    installation: u64,
    repository: String,
}

impl Location {
    /// Returns it as the client wants it.
    pub(super) fn place(&self) -> Place<'_> {
        Place { installation: self.installation, repository: &self.repository }
    }
}

/// Finds the repository of a brief.
pub(super) async fn locate(server: &Server, brief: &BriefRow) -> Result<Location, GitHubError> {
    find(server, brief.source.repository_id, brief.installation_id, &brief.repository).await
}

/// Finds the repository of a brief by asking GitHub now, also where it was asked just before.
pub(super) async fn locate_anew(server: &Server, brief: &BriefRow) -> Result<Location, GitHubError> {
    find_anew(server, brief.source.repository_id, brief.installation_id, &brief.repository).await
}

/// Finds a repository by its id as [`find`] does, by asking GitHub now.
pub(super) async fn find_anew(
    server: &Server,
    id: u64,
    installation: u64,
    name: &str,
) -> Result<Location, GitHubError> {
    for known in [Some(installation), seen(server, id).await.map(|seen| seen.installation_id)] {
        server.github.forget_repository_name(known.unwrap_or(installation), id).await;
    }
    find(server, id, installation, name).await
}

async fn seen(server: &Server, id: u64) -> Option<SeenRepository> {
    server.store.repository(id).await.ok().flatten()
}

/// Finds a repository by its id; `installation` and `name` are what was known of it before.
///
/// Fails as a call for something missing does when the App does not reach it any more.
pub(super) async fn find(
    server: &Server,
    id: u64,
    installation: u64,
    name: &str,
) -> Result<Location, GitHubError> {
    let (installation, name) = seen(server, id)
        .await
        .map_or((installation, name.to_owned()), |seen| (seen.installation_id, seen.name));
    let first = server.github.repository_name(installation, id).await;
    let missing = match first {
        // A public repository is shown to everybody, also after it moved to another account.
        Ok(Some(repository)) if owner(&repository) != owner(&name) => {
            let installation = server.github.installation_of(&repository).await?.unwrap_or(installation);
            return Ok(Location { installation, repository });
        }
        Ok(Some(repository)) => return Ok(Location { installation, repository }),
        Ok(None) => None,
        Err(error) if error.is_gone_installation() => Some(error),
        Err(error) => return Err(error),
    };
    // It may belong to another account by now, on which the App is installed too.
    if let Some(other) = server.github.installation_of(&name).await?.filter(|other| *other != installation)
        && let Some(repository) = server.github.repository_name(other, id).await?
    {
        return Ok(Location { installation: other, repository });
    }
    Err(missing.unwrap_or_else(|| GitHubError::Status {
        status: 404,
        call: format!("GET /repositories/{id}"),
        message: format!("the App does not reach the repository {name} any more"),
        details: String::new(),
    }))
}

fn owner(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}
