//! The client against the simulated GitHub.

mod calls;
mod lists;
mod writes;

use github_sim::{GithubSim, Permission};
use secrecy::SecretString;

use super::GitHub;
use super::installation::Place;
use crate::config::Config;

const REPO: &str = "octo/example";

/// A simulated GitHub with a client, and Maria who may write.
struct World {
    sim: GithubSim,
    github: GitHub,
}

impl World {
    async fn new() -> Self {
        Self::with("write_interval_ms = 0").await
    }

    /// Starts with lines of the `[github]` section.
    async fn with(lines: &str) -> Self {
        let sim = GithubSim::start().await.unwrap();
        sim.create_repository(REPO, &[("README.md", "# Example\n")]).unwrap();
        sim.set_permission(REPO, "maria", Permission::Write).unwrap();
        let text = format!(
            "[github]\napp_id = {}\napi_url = \"{url}\"\nweb_url = \"{url}\"\n{lines}\n\
             private_key = {{ file = \"none\" }}\nwebhook_secret = {{ file = \"none\" }}\n\
             [[lane]]\nname = \"devbox-codex\"\n",
            sim.app_id(),
            url = sim.url(),
        );
        let config = Config::parse(&text).unwrap().github;
        let github = GitHub::new(&config, &SecretString::from(sim.private_key_pem().to_owned())).unwrap();
        Self { sim, github }
    }

    fn place(&self) -> Place<'static> {
        Place { installation: self.sim.installation_id(), repository: REPO }
    }

    fn issue(&self, body: &str) -> u64 {
        self.sim.open_issue(REPO, "maria", "Title", body).unwrap().number
    }

    /// Counts the requests whose method and path are so.
    fn count(&self, method: &str, path: &str) -> usize {
        let hit =
            |request: &&github_sim::RequestRecord| request.method == method && request.path.contains(path);
        self.sim.requests().iter().filter(hit).count()
    }
}
