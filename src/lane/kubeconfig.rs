//! Reading the cluster and credential of a lane's `kubectl` steps, and what of it is masked.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::environment::PATH;
use super::{LaneUnavailable, ProcessLane};
use crate::config::KubectlConfig;
use crate::run::redact::{SHORTEST_SECRET, is_maskable};

/// A cluster with a credential, as `kubectl` steps get it.
#[derive(Debug)]
pub struct Kubeconfig {
    /// Holds a kubeconfig with the lane's context alone, as JSON.
    pub text: SecretString,
    /// Holds what proves who the steps are: tokens, passwords and keys.
    pub secrets: Vec<SecretString>,
}

/// What is looked at in a kubeconfig.
#[derive(Deserialize)]
struct View {
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    password: Option<String>,
    client_key_data: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<serde::de::IgnoredAny>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

impl ProcessLane {
    /// Reads the cluster of the lane's `kubectl` steps, anew each time, so that a changed one counts;
    /// `None` where the lane has none.
    ///
    /// # Errors
    /// Tells the operator why it cannot be used.
    pub async fn read_kubeconfig(&self) -> Result<Option<Kubeconfig>, LaneUnavailable> {
        let Some(config) = self.config().kubectl.clone() else { return Ok(None) };
        let lane = self.config().name.clone();
        let unusable = move |why: String| LaneUnavailable {
            reason: format!("The kubeconfig of the lane `{lane}` cannot be used: {why}."),
            help: "Correct the lane's `kubectl` in the configuration, or the file that it names.".into(),
        };
        let read = tokio::task::spawn_blocking(move || read(&config)).await;
        read.unwrap_or_else(|error| Err(error.to_string())).map(Some).map_err(unusable)
    }
}

fn read(config: &KubectlConfig) -> Result<Kubeconfig, String> {
    let file = &config.kubeconfig;
    let shown = file.display();
    let metadata = std::fs::metadata(file).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!("{shown} can be read by others (mode {mode:o}); run `chmod 600` on it"));
    }
    // kubectl itself says what its file means; it puts the files that are named there into the text.
    let output = Command::new("kubectl")
        .args(["config", "view", "--raw", "--flatten", "--minify", "-o", "json"])
        .arg(format!("--context={}", config.context))
        .arg(format!("--kubeconfig={shown}"))
        .env_clear()
        .envs([("PATH", PATH), ("HOME", "/nonexistent"), ("KUBERC", "off"), ("KUBECTL_KUBERC", "false")])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`kubectl` is needed for it, and does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("kubectl says: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "it is not UTF-8".to_owned())?;
    let secrets = secrets(&text)?;
    Ok(Kubeconfig { text: SecretString::from(text), secrets })
}

/// Returns the secrets of a kubeconfig, and refuses what would not work within a sandbox.
fn secrets(text: &str) -> Result<Vec<SecretString>, String> {
    let view: View =
        serde_json::from_str(text).map_err(|error| format!("kubectl shows it oddly: {error}"))?;
    let mut secrets = Vec::new();
    for NamedUser { user } in view.users.unwrap_or_default() {
        if user.exec.is_some() || user.auth_provider.is_some() || user.token_file.is_some() {
            return Err("it gets its credential from a program or another file, which steps do not have; \
                        write a token or a client certificate into it"
                .to_owned());
        }
        secrets.extend([user.token, user.password, user.client_key_data].into_iter().flatten());
    }
    let secrets: Vec<SecretString> = secrets.into_iter().map(SecretString::from).collect();
    if secrets.iter().any(|secret| !is_maskable(secret.expose_secret())) {
        return Err(format!(
            "a secret in it is shorter than {SHORTEST_SECRET} bytes, so it could not be masked"
        ));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(user: &str) -> Result<Vec<String>, String> {
        let found = secrets(&format!("{{\"users\": [{{\"name\": \"a\", \"user\": {user}}}]}}"))?;
        Ok(found.iter().map(|secret| secret.expose_secret().to_owned()).collect())
    }

    #[test]
    fn tokens_passwords_and_keys_are_masked() {
        let all =
            r#"{"token": "token-1", "password": "password", "client-key-data": "a2V5a2V5", "username": "u"}"#;
        assert_eq!(found(all).unwrap(), ["token-1", "password", "a2V5a2V5"]);
        assert!(found(r#"{"token": "short"}"#).unwrap_err().contains("masked"));
        assert_eq!(secrets(r#"{"users": null}"#).unwrap().len(), 0);
    }

    #[test]
    fn what_a_sandbox_does_not_have_is_refused() {
        for user in [
            r#"{"exec": {"command": "aws"}}"#,
            r#"{"tokenFile": "/run/token"}"#,
            r#"{"auth-provider": {"name": "gcp"}}"#,
        ] {
            assert!(found(user).unwrap_err().contains("a program or another file"), "{user}");
        }
    }
}
