//! What must hold for a lane's configuration beyond its types.

use std::path::PathBuf;

use super::egress;
use super::environment::refuse_environment_name;
use super::sandbox::refuse_read_only_path;
use crate::brief::validate;
use crate::config::{KubectlConfig, LaneConfig, Network, SandboxKind, invalid};
use crate::error::UserError;
use crate::run::contract::Contract;

/// Checks a lane; `private` are the paths of the server that no step may see.
///
/// # Errors
/// Fails with `config-invalid`, which names the lane and what is wrong with it.
pub fn check(lane: &LaneConfig, private: &[PathBuf]) -> Result<(), UserError> {
    let wrong = |what: String| Err(invalid(format!("lane `{}`: {what}", lane.name)));
    if validate::executor(&lane.name).is_err() {
        return wrong("the name must be one that a brief can give as `executor`.".to_owned());
    }
    if lane.parallel == 0 {
        return wrong("`parallel` is 0, so it would never run anything; use `enabled = false`.".to_owned());
    }
    for pattern in &lane.repositories {
        let parts: Vec<&str> = pattern.split('/').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) || parts[0].contains('*') {
            return wrong(format!("`{pattern}` is neither `owner/name` nor `owner/*`."));
        }
    }
    for name in &lane.environment {
        if let Some(reason) = refuse_environment_name(name) {
            return wrong(format!("the variable {name} cannot be given to steps: {reason}."));
        }
    }
    for (at, secret) in lane.secrets.iter().enumerate() {
        let name = &secret.name;
        if let Some(reason) = refuse_environment_name(name) {
            return wrong(format!("the secret {name} cannot be given to steps: {reason}."));
        }
        let again = lane.secrets[..at].iter().any(|other| other.name == *name);
        if again || lane.environment.contains(name) {
            return wrong(format!("the variable {name} is given to steps twice."));
        }
        secret.source.check(&format!("lane `{}`: the secret {name}", lane.name))?;
    }
    if let Some(reason) = refuse_network(lane) {
        return wrong(reason);
    }
    if let Some(reason) = lane.kubectl.as_ref().and_then(KubectlConfig::wrong) {
        return wrong(reason);
    }
    for path in &lane.read_only_paths {
        if let Some(reason) = refuse_read_only_path(path) {
            return wrong(format!("{} cannot be given to steps: {reason}.", path.display()));
        }
        let holds = |private: &&PathBuf| private.starts_with(path) || path.starts_with(private);
        if let Some(private) = private.iter().find(holds) {
            let (path, private) = (path.display(), private.display());
            return wrong(format!("{path} cannot be given to steps: the server keeps {private} there."));
        }
    }
    Contract::of(lane).map(drop).or_else(|why| wrong(format!("{why}.")))
}

/// Returns why a lane's network cannot be as it is configured, or `None` if it can.
pub(super) fn refuse_network(lane: &LaneConfig) -> Option<String> {
    let listed = matches!(lane.network, Network::Listed(_));
    if listed && lane.sandbox == SandboxKind::None {
        return Some(
            "`network` is a list, which only a sandbox can hold steps to; with `sandbox = \"none\"` write \
             `network = \"full\"`, which is what they have."
                .to_owned(),
        );
    }
    if !listed && lane.network_private_addresses {
        return Some("`network_private_addresses` is for a `network` that is a list.".to_owned());
    }
    let own = lane.environment.iter().find(|name| listed && egress::sets(name))?;
    Some(format!("the variable {own} cannot be given to steps: the lane sets it, since `network` is a list."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LaneSecret;
    use crate::lane::environment::CREDENTIALS;

    fn refused(change: impl FnOnce(&mut LaneConfig)) -> String {
        let mut lane = LaneConfig::named("devbox-codex");
        change(&mut lane);
        check(&lane, &["/srv/state".into()]).unwrap_err().message
    }

    #[test]
    fn a_lane_with_a_name_is_fine() {
        check(&LaneConfig::named("devbox-codex"), &[]).unwrap();
    }

    #[test]
    fn names_of_credentials_are_refused() {
        assert!(refused(|lane| lane.environment = vec!["GITHUB_TOKEN".into()]).contains("GITHUB_TOKEN"));
    }

    #[test]
    fn a_secret_has_a_name_that_is_free_and_one_source() {
        let secret = |name: &str, rest: &str| -> LaneSecret {
            toml::from_str(&format!("name = '{name}'\n{rest}")).unwrap()
        };
        let with = |secrets: Vec<LaneSecret>| {
            refused(|lane| (lane.secrets, lane.environment) = (secrets, vec!["TZ".to_owned()]))
        };
        for name in CREDENTIALS {
            assert!(with(vec![secret(name, "environment = 'X'")]).contains("holds a credential"), "{name}");
        }
        let fine = || secret("NPM_TOKEN", "environment = 'X'");
        assert!(with(vec![fine(), fine()]).contains("NPM_TOKEN is given to steps twice"));
        assert!(with(vec![secret("TZ", "environment = 'X'")]).contains("TZ is given to steps twice"));
        assert!(with(vec![secret("NPM_TOKEN", "")]).contains("exactly one"));
        let mut lane = LaneConfig::named("devbox-codex");
        lane.secrets = vec![fine()];
        check(&lane, &[]).unwrap();
        assert!(toml::from_str::<LaneSecret>("name = 'A'\nfiel = 'x'").is_err());
    }

    #[test]
    fn what_the_server_keeps_cannot_be_given_to_steps() {
        assert!(refused(|lane| lane.read_only_paths = vec!["/srv".into()]).contains("/srv/state"));
        assert!(
            refused(|lane| lane.read_only_paths = vec!["/srv/state/blobs".into()]).contains("/srv/state")
        );
    }

    #[test]
    fn rules_for_protected_paths_that_mean_nothing_are_refused() {
        assert!(refused(|lane| lane.protected_paths = vec!["!x".into()]).contains("`!x`"));
        let told = refused(|lane| lane.allow_protected = vec!["workflows".into()]);
        assert!(told.contains("`workflows`") && told.contains("`CODEOWNERS`"), "{told}");
    }

    #[test]
    fn a_list_that_could_not_be_held_is_refused() {
        let listed = |lane: &mut LaneConfig| {
            lane.network = Network::Listed(vec!["crates.io:443".parse().unwrap()]);
        };
        let mut lane = LaneConfig::named("devbox-codex");
        listed(&mut lane);
        lane.network_private_addresses = true;
        check(&lane, &[]).unwrap();
        let bare = refused(|lane| {
            listed(lane);
            lane.sandbox = SandboxKind::None;
        });
        assert!(bare.contains("only a sandbox"), "{bare}");
        let proxy = refused(|lane| {
            listed(lane);
            lane.environment = vec!["https_proxy".into()];
        });
        assert!(proxy.contains("https_proxy"), "{proxy}");
        assert!(refused(|lane| lane.network_private_addresses = true).contains("list"));
    }

    #[test]
    fn a_lane_that_could_never_run_is_refused() {
        assert!(refused(|lane| lane.parallel = 0).contains("parallel"));
        assert!(refused(|lane| lane.name = "a b".into()).contains("name"));
        assert!(refused(|lane| lane.repositories = vec!["*".into()]).contains("owner"));
    }
}
