//! The key `kubectl` of a lane: the cluster that its `kubectl` steps reach, and what they may ask of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

/// Verbs that show, copy or change the credential, or start programs by the caller's choice.
const NO_VERBS: [&str; 6] = ["config", "cp", "edit", "kuberc", "kustomize", "plugin"];

/// Which cluster the `kubectl` steps of a lane reach, as whom, and by which verbs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubectlConfig {
    /// Names the file with cluster and credential; readable by the server's user alone.
    #[serde(serialize_with = "as_list")]
    pub kubeconfig: PathBuf,
    /// Names the context of that file.
    pub context: String,
    /// Lists what steps may do: verbs such as `get`, or with the word behind them, such as `rollout status`.
    pub verbs: Vec<String>,
}

impl KubectlConfig {
    /// Tells whether the list lets a call pass that begins with these arguments.
    pub fn allows(&self, arguments: &[String]) -> bool {
        let [verb, rest @ ..] = arguments else { return false };
        self.verbs.iter().any(|allowed| match allowed.split_once(' ') {
            Some((first, second)) => first == verb && rest.first().is_some_and(|word| word == second),
            None => allowed == verb,
        })
    }

    /// Returns what is wrong with it, or `None`.
    pub fn wrong(&self) -> Option<String> {
        let word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        if self.context.is_empty() || self.context.contains(['\0', '\n']) {
            return Some("`kubectl.context` names no context.".to_owned());
        }
        if self.verbs.is_empty() {
            return Some("`kubectl.verbs` is empty, so no step could use it.".to_owned());
        }
        for verb in &self.verbs {
            let mut words = verb.split(' ');
            let first = words.next().unwrap_or_default();
            if !word(first) || !words.next().is_none_or(word) || words.next().is_some() {
                return Some(format!(
                    "`kubectl.verbs`: `{verb}` is neither a verb nor a verb and its next word."
                ));
            }
            if NO_VERBS.contains(&first) {
                return Some(format!(
                    "`kubectl.verbs`: `{first}` would show the credential or start programs of the step's choice."
                ));
            }
        }
        None
    }
}

/// Writes the path as a list, whose values nobody outside is told when it changes.
fn as_list<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq([path])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(verbs: &[&str]) -> KubectlConfig {
        let verbs = verbs.iter().map(|&verb| verb.to_owned()).collect();
        KubectlConfig { kubeconfig: "k".into(), context: "staging".into(), verbs }
    }

    #[test]
    fn a_verb_counts_whole_and_with_its_next_word() {
        let config = config(&["get", "rollout status"]);
        let allows = |line: &str| config.allows(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in ["get pods", "get", "rollout status deploy/web"] {
            assert!(allows(line), "{line}");
        }
        for line in ["delete pods", "gets", "rollout", "rollout restart deploy/web", "rollout -n status", ""]
        {
            assert!(!allows(line), "{line}");
        }
        assert!(!config.allows(&[]));
    }

    #[test]
    fn what_shows_the_credential_or_means_nothing_is_refused() {
        assert_eq!(config(&["get", "rollout status"]).wrong(), None);
        for verbs in
            [&["config"][..], &["config view"], &["plugin list"], &["edit"], &[], &["-n"], &["a b c"], &["*"]]
        {
            assert!(config(verbs).wrong().is_some(), "{verbs:?}");
        }
        assert!(KubectlConfig { context: String::new(), ..config(&["get"]) }.wrong().is_some());
    }

    #[test]
    fn the_path_of_a_kubeconfig_is_told_as_a_list_alone() {
        let json = serde_json::to_value(config(&["get"])).unwrap();
        assert_eq!(json["kubeconfig"], serde_json::json!(["k"]));
    }
}
