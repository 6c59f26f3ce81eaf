//! What a step's environment holds: a fixed few variables, and what the operator lets through.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use secrecy::{ExposeSecret, SecretString};

use super::LaneUnavailable;
use crate::config::{LaneConfig, LaneSecret};
use crate::run::redact::{SHORTEST_SECRET, is_maskable};

/// The variable that names the run.
pub(super) const RUN: &str = "CODEX_BRIEF_RUN";

/// The programs that a step finds.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Credentials that no configuration can hand to a step: those that the stall report names.
pub const CREDENTIALS: [&str; 12] = [
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GOOGLE_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_OPENAI_API_KEY",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "GITLAB_TOKEN",
    "SSH_AUTH_SOCK",
];

/// Beginnings of names that carry GitHub's or git's credentials, change what a program loads, or
/// belong to the lane.
const REFUSED_STARTS: [(&str, &str); 7] = [
    ("GH_", "it configures GitHub's command line, credentials included"),
    ("GITHUB_", "it may hold a credential of GitHub"),
    ("GIT_", "it changes what git does, credentials included"),
    ("SSH_", "it leads to keys"),
    ("LD_", "it changes what every program loads"),
    ("BASH", "it changes how bash runs the step"),
    ("CODEX_BRIEF_", "the lane sets these itself"),
];

const REFUSED: [(&str, &str); 14] = [
    ("ENV", "it changes how a shell starts"),
    ("IFS", "it changes how bash reads the step"),
    ("PS4", "bash runs commands that stand in it"),
    ("SHELLOPTS", "it changes how bash runs the step"),
    ("PROMPT_COMMAND", "bash runs commands that stand in it"),
    ("PATH", "the lane sets it itself"),
    ("HOME", "the lane sets it itself"),
    ("USER", "the lane sets it itself"),
    ("LOGNAME", "the lane sets it itself"),
    ("SHELL", "the lane sets it itself"),
    ("PWD", "the lane sets it itself"),
    ("TMPDIR", "the lane sets it itself"),
    ("LANG", "the lane sets it itself"),
    ("CI", "the lane sets it itself"),
];

/// Returns why a name must not stand in a lane's `environment`, or `None` if it may.
pub fn refuse_environment_name(name: &str) -> Option<&'static str> {
    let shaped = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !shaped || name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Some("it is no name of a variable");
    }
    let upper = name.to_ascii_uppercase();
    if CREDENTIALS.contains(&upper.as_str()) {
        return Some("it holds a credential, and steps get none");
    }
    let exact = REFUSED.iter().find(|(refused, _)| *refused == upper);
    let start = || REFUSED_STARTS.iter().find(|(start, _)| upper.starts_with(start));
    exact.or_else(start).map(|(_, reason)| *reason)
}

/// A secret of a lane as its steps get it: the variable's name and its value.
pub type StepSecret = (String, SecretString);

/// Reads the secrets of a lane, which may run their commands.
///
/// # Errors
/// Tells the operator which cannot be read, or cannot be masked.
pub fn read_secrets(lane: &LaneConfig) -> Result<Vec<StepSecret>, LaneUnavailable> {
    let read = |secret: &LaneSecret| {
        let unusable = |why: &dyn std::fmt::Display| LaneUnavailable {
            reason: format!(
                "The secret `{}` of the lane `{}` cannot be used: {why}.",
                secret.name, lane.name
            ),
            help: "Correct the lane's `secrets` in the configuration, or what they name.".into(),
        };
        let value = secret.source.read().map_err(|error| unusable(&error))?;
        if !is_maskable(value.expose_secret()) {
            return Err(unusable(&format!(
                "it is shorter than {SHORTEST_SECRET} bytes, so it could not be masked"
            )));
        }
        Ok((secret.name.clone(), value))
    };
    lane.secrets.iter().map(read).collect()
}

/// Where a step finds its things.
pub(super) struct Places<'a> {
    pub(super) home: &'a OsStr,
    pub(super) tmp: &'a OsStr,
    pub(super) workdir: &'a OsStr,
}

/// Returns a step's whole environment; `server` looks up a variable of the server's own.
pub(super) fn step_environment(
    (allowed, secrets): (&[String], &[StepSecret]),
    server: impl Fn(&str) -> Option<OsString>,
    run: &str,
    step: usize,
    places: &Places<'_>,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = allowed
        .iter()
        // Configuration was checked; what steps must never have is not left to that alone.
        .filter(|name| refuse_environment_name(name).is_none())
        .filter_map(|name| Some((name.into(), server(name)?)))
        .collect();
    let secrets = secrets.iter().filter(|(name, _)| refuse_environment_name(name).is_none());
    variables.extend(secrets.map(|(name, value)| (name.into(), value.expose_secret().into())));
    let number = (step + 1).to_string();
    let fixed: [(&str, &OsStr); 12] = [
        ("PATH", PATH.as_ref()),
        ("HOME", places.home),
        ("USER", "codex".as_ref()),
        ("LOGNAME", "codex".as_ref()),
        ("SHELL", "/bin/bash".as_ref()),
        ("LANG", "C.UTF-8".as_ref()),
        ("TMPDIR", places.tmp),
        ("PWD", places.workdir),
        ("CI", "true".as_ref()),
        ("GIT_TERMINAL_PROMPT", "0".as_ref()),
        (RUN, run.as_ref()),
        ("CODEX_BRIEF_STEP", number.as_ref()),
    ];
    variables.extend(fixed.map(|(name, value)| (name.into(), value.into())));
    variables
}

/// Sets what a step itself sets, of the names that the lane lets through.
pub(super) fn override_by(
    variables: &mut Vec<(OsString, OsString)>,
    own: &BTreeMap<String, String>,
    allowed: &[String],
) {
    let lets = |name: &String| allowed.contains(name) && refuse_environment_name(name).is_none();
    for (name, value) in own.iter().filter(|(name, _)| lets(name)) {
        variables.retain(|(other, _)| other != name.as_str());
        variables.push((name.into(), value.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_cannot_be_named() {
        let more = ["gh_token", "GH_HOST", "GITHUB_PAT", "GIT_CONFIG_COUNT", "LD_PRELOAD", "BASH_ENV", "ENV"];
        for name in CREDENTIALS.iter().chain(&more) {
            assert!(refuse_environment_name(name).is_some(), "{name}");
        }
        for name in ["LD_LIBRARY_PATH", "CODEX_BRIEF_RUN", "SSH_AGENT_PID", "", "A=B", "1A", "A B", "é"] {
            assert!(refuse_environment_name(name).is_some(), "{name}");
        }
        for name in ["TZ", "HTTP_PROXY", "https_proxy", "JAVA_HOME", "ENVIRONMENT", "CITY", "_x1"] {
            assert_eq!(refuse_environment_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_refused_name_is_left_out_even_if_it_was_configured() {
        let places = Places { home: "/h".as_ref(), tmp: "/t".as_ref(), workdir: "/w".as_ref() };
        let allowed = ["GITHUB_TOKEN".to_owned(), "TZ".to_owned(), "UNSET".to_owned()];
        let server = |name: &str| (name != "UNSET").then(|| OsString::from("value"));
        let secret = |name: &str| (name.to_owned(), SecretString::from("hush"));
        let secrets = [secret("GH_TOKEN"), secret("NPM_TOKEN")];
        let environment = step_environment((&allowed, &secrets), server, "run", 0, &places);
        let names: Vec<_> = environment.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert!(names.contains(&"TZ") && !names.contains(&"GITHUB_TOKEN") && !names.contains(&"UNSET"));
        assert!(names.contains(&"NPM_TOKEN") && !names.contains(&"GH_TOKEN"));
        assert!(environment.contains(&("CODEX_BRIEF_STEP".into(), "1".into())));
    }

    #[test]
    fn a_step_sets_what_the_lane_lets_through_and_nothing_else() {
        let mut variables: Vec<(OsString, OsString)> =
            vec![("TZ".into(), "UTC".into()), ("PATH".into(), PATH.into())];
        let own = ["TZ", "LANGUAGE", "PATH", "LD_PRELOAD"].map(|name| (name.to_owned(), "own".to_owned()));
        let allowed = ["TZ".to_owned(), "PATH".to_owned(), "LD_PRELOAD".to_owned()];
        override_by(&mut variables, &BTreeMap::from(own), &allowed);
        let wanted: Vec<(OsString, OsString)> =
            vec![("PATH".into(), PATH.into()), ("TZ".into(), "own".into())];
        assert_eq!(variables, wanted);
    }
}
