//! People at threads: who is assigned, and who is asked to review.
//!
//! GitHub tells both by webhooks, too; those are left out, since nobody here listens to them.

use crate::model::{Permission, Repository};
use crate::refusal::Refusal;
use crate::world::World;

/// GitHub's limit for assignees.
const MOST_ASSIGNEES: usize = 10;

fn may(repo: &Repository, login: &str, least: Permission) -> bool {
    let named = repo.permissions.get(&login.to_lowercase()).copied().unwrap_or(Permission::None);
    repo.owner.eq_ignore_ascii_case(login) || named >= least
}

impl World {
    /// Assigns a thread; whoever may not push is left out without a word, as GitHub does.
    pub(crate) fn assign(&mut self, repository: &str, number: u64, logins: &[String]) -> Result<(), Refusal> {
        let repo = self.repository(repository)?;
        let fit: Vec<String> = logins
            .iter()
            .filter(|login| may(repo, login, Permission::Write))
            .filter_map(|login| self.user(login).map(|user| user.login.clone()))
            .collect();
        let issue = self.thread_mut(repository, number)?;
        for login in fit {
            if !issue.assignees.contains(&login) && issue.assignees.len() < MOST_ASSIGNEES {
                issue.assignees.push(login);
            }
        }
        Ok(())
    }

    /// Asks people to review; one who is no collaborator, or opened the pull request, spoils it for all.
    pub(crate) fn ask_to_review(
        &mut self,
        repository: &str,
        number: u64,
        logins: &[String],
    ) -> Result<(), Refusal> {
        let repo = self.repository(repository)?;
        let author = repo.issues.get(&number).map(|issue| issue.author.clone()).unwrap_or_default();
        if logins.iter().any(|login| login.eq_ignore_ascii_case(&author)) {
            return Err(Refusal::new(422, "Review cannot be requested from pull request author."));
        }
        let known = |login: &String| {
            self.user(login).filter(|_| may(repo, login, Permission::Read)).map(|user| user.login.clone())
        };
        let Some(fit) = logins.iter().map(known).collect::<Option<Vec<String>>>() else {
            let message = format!(
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a \
                 collaborator of the {} repository.",
                repo.full_name()
            );
            return Err(Refusal::new(422, message));
        };
        let pull = self.repository_mut(repository)?.pulls.get_mut(&number).ok_or_else(Refusal::not_found)?;
        for login in fit {
            if !pull.reviewers.contains(&login) {
                pull.reviewers.push(login);
            }
        }
        Ok(())
    }
}
