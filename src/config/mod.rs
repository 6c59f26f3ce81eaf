//! The server's configuration: one typed section a file, unknown keys refused, secrets wrapped.
//!
//! `docs/configuration.md` describes every key; `deploy/codex-brief.example.toml` shows each one.

mod approval;
mod audit;
mod authorize;
mod catch_up;
mod commands;
mod commit;
mod github;
mod guard;
mod kubectl;
mod lane;
mod network;
mod policy;
mod queue;
mod retention;
mod secret;
mod sections;
mod server;
mod webhook;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use approval::{Approval, ApprovalBase, Approvers, MovedBase};
pub use audit::AuditConfig;
pub use authorize::{AuthorizeConfig, MinimumPermission};
pub use catch_up::CatchUpConfig;
pub use commands::{CommandsConfig, Level};
pub use commit::CommitWay;
pub use github::GitHubConfig;
pub use guard::GuardConfig;
pub use kubectl::KubectlConfig;
pub use lane::{LaneConfig, LaneKind, Limits, SandboxKind, Taken};
pub use network::{Destination, Network};
pub use policy::{Budget, Gate, PolicyLimits, PolicySection, RepositoryFile, Team, TextSource};
pub use queue::{OnWithdrawal, QueueConfig};
pub use retention::RetentionConfig;
pub use secret::{LaneSecret, SecretError, SecretSource};
pub use server::ServerConfig;
pub use webhook::{WebhookConfig, WebhookMode};

use crate::error::UserError;

/// The whole of `codex-brief.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Tells where the server listens and keeps its state.
    #[serde(default)]
    pub server: ServerConfig,
    /// Tells which GitHub App the server is.
    pub github: GitHubConfig,
    /// Tells who may run briefs.
    #[serde(default)]
    pub authorize: AuthorizeConfig,
    /// Tells what each command of a comment needs.
    #[serde(default)]
    pub commands: CommandsConfig,
    /// Tells which commands of a brief the verdict table takes for allowed.
    #[serde(default)]
    pub guard: GuardConfig,
    /// Tells how tasks are retried, leased and withdrawn.
    #[serde(default)]
    pub queue: QueueConfig,
    /// Tells how long what is over is kept.
    #[serde(default)]
    pub retention: RetentionConfig,
    /// Tells how the server hears of what people write.
    #[serde(default)]
    pub webhook: WebhookConfig,
    /// Tells how missed deliveries are found.
    #[serde(default)]
    pub catch_up: CatchUpConfig,
    /// Narrows who may run what, from where and within which bounds.
    #[serde(default, rename = "policy")]
    pub policies: Vec<PolicySection>,
    /// Tells where the audit log goes besides the store.
    #[serde(default)]
    pub audit: AuditConfig,
    /// Lists the lanes.
    #[serde(default, rename = "lane")]
    pub lanes: Vec<LaneConfig>,
    /// Holds the SHA-256 of each section as it was read, in hex; what tells one configuration from another.
    #[serde(skip)]
    pub sections: BTreeMap<String, String>,
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// Fails with `config-unreadable` or `config-invalid`, which name the file and the place in it.
    pub fn load(path: &Path) -> Result<Self, UserError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            UserError::new(
                "config-unreadable",
                format!("The configuration {} cannot be read: {error}.", path.display()),
                "Give its path with --config; deploy/codex-brief.example.toml is one to start from.",
            )
        })?;
        let named = |error: UserError| UserError {
            message: format!("{}: {}", path.display(), error.message),
            ..error
        };
        let mut config = Self::parse(&text).map_err(named)?;
        let base = path.parent().unwrap_or(Path::new("."));
        config.resolve_paths(base);
        let variables = RefCell::new(BTreeMap::new());
        let variable = |name: &str| {
            let value = std::env::var(name).ok()?;
            variables.borrow_mut().insert(name.to_owned(), value.clone());
            Some(value)
        };
        config.queue.override_by(variable).map_err(named)?;
        config.guard.override_by(variable).map_err(named)?;
        config.authorize.override_by(variable).map_err(named)?;
        config.sections = sections::digests(&text, &variables.into_inner());
        Ok(config)
    }

    /// Parses and checks a configuration text.
    pub fn parse(text: &str) -> Result<Self, UserError> {
        let config: Self =
            toml::from_str(text).map_err(|error| invalid(error.to_string().trim_end().to_owned()))?;
        config.check()?;
        Ok(config)
    }

    /// Makes relative paths relative to the folder of the configuration file.
    fn resolve_paths(&mut self, base: &Path) {
        self.server.state_dir = absolute(base.join(&self.server.state_dir));
        if let Some(sink) = &mut self.audit.sink {
            *sink = absolute(base.join(&*sink));
        }
        let of_lanes = self.lanes.iter_mut().flat_map(|lane| &mut lane.secrets);
        let of_lanes = of_lanes.map(|secret| &mut secret.source);
        let of_app = [Some(&mut self.github.private_key), self.github.webhook_secret.as_mut()];
        for source in of_app.into_iter().flatten().chain(of_lanes) {
            if let Some(file) = &mut source.file {
                *file = absolute(base.join(&*file));
            }
        }
        for kubectl in self.lanes.iter_mut().filter_map(|lane| lane.kubectl.as_mut()) {
            kubectl.kubeconfig = absolute(base.join(&kubectl.kubeconfig));
        }
    }

    fn check(&self) -> Result<(), UserError> {
        self.github.check()?;
        self.authorize.check()?;
        self.commands.check()?;
        self.check_policies()?;
        self.queue.check()?;
        self.guard.check()?;
        self.catch_up.check()?;
        self.webhook.check()?;
        self.check_hearing()?;
        for (at, lane) in self.lanes.iter().enumerate() {
            if self.lanes[..at].iter().any(|other| other.name == lane.name) {
                return Err(invalid(format!("lane `{}` is configured twice.", lane.name)));
            }
        }
        if self.lanes.is_empty() {
            return Err(invalid("there is no [[lane]], so no brief could ever run.".to_owned()));
        }
        Ok(())
    }

    /// Checks that the server can hear what it is to hear.
    fn check_hearing(&self) -> Result<(), UserError> {
        if !self.webhook.is_polling() {
            let missing = "github.webhook_secret is missing; only with `mode = \"polling\"` in [webhook] there is none.";
            return self.github.webhook_secret.as_ref().map(drop).ok_or_else(|| invalid(missing.to_owned()));
        }
        if !self.catch_up.enabled {
            return Err(invalid(
                "catch_up.enabled is false, and webhook.mode is `polling`: the server would never hear of anything."
                    .to_owned(),
            ));
        }
        if let Some(bot) = self.named_bots().next() {
            return Err(invalid(format!(
                "a [[policy]] names the bot `{bot}`, and webhook.mode is `polling`, which does not look for texts of bots."
            )));
        }
        Ok(())
    }

    fn check_policies(&self) -> Result<(), UserError> {
        for (nth, section) in (1..).zip(&self.policies) {
            section.check(&format!("policy[{nth}]"))?;
            let known = |name: &&String| self.lanes.iter().any(|lane| lane.name == **name);
            if let Some(name) = section.lanes.iter().find(|name| !known(name)) {
                return Err(invalid(format!(
                    "policy[{nth}].lanes names `{name}`, and there is no such [[lane]]."
                )));
            }
        }
        Ok(())
    }

    /// Walks the names of the bots that some policy lets run briefs.
    pub fn named_bots(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().flat_map(|section| section.bots.iter().flatten()).map(String::as_str)
    }

    /// Returns the paths that no step may see: the state directory, the audit sink, the files of secrets
    /// and the kubeconfigs.
    pub fn private_paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.server.state_dir.clone()];
        paths.extend(self.audit.sink.clone());
        paths.extend(self.github.private_key.file.clone());
        paths.extend(self.github.webhook_secret.as_ref().and_then(|source| source.file.clone()));
        let of_lanes = self.lanes.iter().flat_map(|lane| &lane.secrets);
        paths.extend(of_lanes.filter_map(|secret| secret.source.file.clone()));
        let clusters = self.lanes.iter().filter_map(|lane| lane.kubectl.as_ref());
        paths.extend(clusters.map(|kubectl| kubectl.kubeconfig.clone()));
        paths
    }
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// Makes the error for a configuration that says something wrong.
pub(crate) fn invalid(message: String) -> UserError {
    UserError::new("config-invalid", message, "Correct it; docs/configuration.md describes every key.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"
        [github]
        app_id = 1
        private_key = { file = "app.pem" }
        webhook_secret = { environment = "HOOK" }
        [[lane]]
        name = "devbox-codex"
    "#;

    #[test]
    fn a_minimal_configuration_is_enough() {
        let config = Config::parse(MINIMAL).unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.lanes[0].sandbox, SandboxKind::Bubblewrap);
        assert_eq!(config.lanes[0].network, Network::None);
    }

    #[test]
    fn the_example_holds_as_it_is_and_with_every_key_switched_on() {
        let example = include_str!("../../deploy/codex-brief.example.toml");
        let as_it_is = Config::parse(example).unwrap();
        let key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let lines = example.lines().filter(|line| !line.starts_with("# webhook_secret"));
        let switched_on: Vec<&str> =
            lines.map(|line| line.strip_prefix("# ").filter(|rest| key(rest)).unwrap_or(line)).collect();
        let all = Config::parse(&switched_on.join("\n")).unwrap();
        // What is commented out tells what holds without it.
        assert_eq!(format!("{:?}", all.server), format!("{:?}", as_it_is.server));
        assert_eq!(format!("{:?}", all.lanes[0].limits), format!("{:?}", as_it_is.lanes[0].limits));
        assert_eq!(format!("{:?}", all.queue), format!("{:?}", as_it_is.queue));
        assert_eq!(all.authorize.approval_expires_hours, as_it_is.authorize.approval_expires_hours);
        assert_eq!(all.lanes[0].approval, as_it_is.lanes[0].approval);
        assert_eq!(format!("{:?}", all.retention), format!("{:?}", as_it_is.retention));
        assert_eq!(format!("{:?}", all.catch_up), format!("{:?}", as_it_is.catch_up));
        assert_eq!(format!("{:?}", all.webhook), format!("{:?}", as_it_is.webhook));
        assert_eq!(all.github.api_url, as_it_is.github.api_url);
        assert_eq!(all.audit.sink, as_it_is.audit.sink);
    }

    #[test]
    fn polling_needs_no_secret_and_looks_for_no_bots() {
        let without = MINIMAL.replace("webhook_secret = { environment = \"HOOK\" }", "");
        assert!(Config::parse(&without).unwrap_err().message.contains("webhook_secret is missing"));
        let polling = format!("{without}\n[webhook]\nmode = \"polling\"\n");
        assert!(Config::parse(&polling).unwrap().webhook.is_polling());
        for (more, told) in [
            ("[catch_up]\nenabled = false", "never hear"),
            ("[[policy]]\nbots = [\"renovate[bot]\"]", "renovate[bot]"),
        ] {
            let error = Config::parse(&format!("{polling}{more}")).unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_and_named() {
        let error = Config::parse(&format!("{MINIMAL}\nnetwrk = \"full\"")).unwrap_err();
        assert!(error.message.contains("netwrk"), "{error}");
    }

    #[test]
    fn a_policy_for_what_is_not_there_is_refused() {
        for (wrong, told) in [
            ("lanes = [\"devbox\"]", "policy[1].lanes names `devbox`"),
            ("repositories = [\"octo\"]", "policy[1].repositories: `octo`"),
            ("minimum_permission = \"read\"", "unknown variant `read`"),
            ("users = [\"maria\"]", "expected u64"),
        ] {
            let error = Config::parse(&format!("{MINIMAL}\n[[policy]]\n{wrong}")).unwrap_err();
            assert!(error.message.contains(told), "{error}");
        }
        let wide = MINIMAL.replace("[[lane]]", "[authorize]\npublic_repositories = [\"*\"]\n[[lane]]");
        assert!(Config::parse(&wide).unwrap_err().message.contains("authorize.public_repositories"));
    }

    #[test]
    fn a_secret_needs_exactly_one_source() {
        let two = MINIMAL.replace(r#"{ file = "app.pem" }"#, r#"{ file = "a", environment = "B" }"#);
        assert!(Config::parse(&two).unwrap_err().message.contains("private_key"));
    }

    #[test]
    fn approvers_are_somebody() {
        let with = |more: &str| format!("[authorize]\napprovers = {{ {more} }}\n{MINIMAL}");
        assert!(Config::parse(&with("users = [7]")).is_ok());
        assert!(Config::parse(&with("")).unwrap_err().message.contains("names nobody"));
    }

    #[test]
    fn the_same_lane_twice_is_refused() {
        let error = Config::parse(&format!("{MINIMAL}\n[[lane]]\nname = \"devbox-codex\"")).unwrap_err();
        assert!(error.message.contains("twice"), "{error}");
    }
}
