//! The `[guard]` section.

use regex::Regex;
use serde::Deserialize;

use super::invalid;
use crate::error::UserError;

/// What the verdict table of a brief's commands takes for allowed. Without the section that is least:
/// the binary `codex`, in the repository, with no subcommand or `exec`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardConfig {
    /// Lists programs by name, as `PATH` finds them, or by path; `CODEX_CLI_ALLOWED_BINARIES` in the
    /// environment comes first.
    pub allowed_binaries: Vec<String>,
    /// Lists folders in and below which commands run: relative to the repository's root, absolute, or
    /// below `~`; `CODEX_CLI_ALLOWED_WORKDIRS` in the environment comes first.
    pub allowed_workdirs: Vec<String>,
    /// Lists folders and files that arguments and redirections name; `None` means those of
    /// `allowed_workdirs`. `CODEX_CLI_ALLOWED_PATHS` in the environment comes first.
    pub allowed_paths: Option<Vec<String>>,
    /// Lists subcommands: of Codex as one word, the empty one for none; of another binary as
    /// `BINARY SUBCOMMAND`, `BINARY *` for all. `CODEX_CLI_ALLOWED_SUBCOMMANDS` comes first.
    pub allowed_subcommands: Vec<String>,
    /// Lists flags that no command may have, such as `--yolo` or `--sandbox=danger-full-access`;
    /// `CODEX_CLI_BLOCKED_FLAGS` in the environment comes first.
    pub blocked_flags: Vec<String>,
    /// Lists options whose value is a path, beside those of Codex; `CODEX_CLI_PATH_OPTION_NAMES` in the
    /// environment comes first.
    pub path_option_names: Vec<String>,
    /// Lists regular expressions for such options, each matched against the whole name;
    /// `CODEX_CLI_PATH_OPTION_PATTERNS` in the environment comes first.
    pub path_option_patterns: Vec<String>,
}

impl Default for GuardConfig {
    fn default() -> Self {
        let list = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect();
        Self {
            allowed_binaries: list(&["codex"]),
            allowed_workdirs: list(&["."]),
            allowed_paths: None,
            allowed_subcommands: list(&["", "exec"]),
            blocked_flags: list(&["--dangerously-bypass-approvals-and-sandbox", "--yolo"]),
            path_option_names: Vec::new(),
            path_option_patterns: Vec::new(),
        }
    }
}

impl GuardConfig {
    /// Returns what holds without a configuration file: the defaults, and the environment before them.
    ///
    /// Fails with `config-invalid` for a variable that cannot be used.
    pub fn without_file() -> Result<Self, UserError> {
        let mut config = Self::default();
        config.override_by(|name| std::env::var(name).ok())?;
        Ok(config)
    }

    /// Lets the variables of the environment that have names of their own come first; `read` returns a
    /// variable's value. Items are parted by commas; a variable that is empty counts as not set.
    pub(super) fn override_by(&mut self, read: impl Fn(&str) -> Option<String>) -> Result<(), UserError> {
        let items = |name: &str| {
            let text = read(name).filter(|text| !text.trim().is_empty())?;
            Some(text.split(',').map(|item| item.trim().to_owned()).collect::<Vec<_>>())
        };
        let list = |name: &str, value: &mut Vec<String>| {
            if let Some(items) = items(name) {
                *value = items.into_iter().filter(|item| !item.is_empty()).collect();
            }
        };
        list("CODEX_CLI_ALLOWED_BINARIES", &mut self.allowed_binaries);
        list("CODEX_CLI_ALLOWED_WORKDIRS", &mut self.allowed_workdirs);
        list("CODEX_CLI_BLOCKED_FLAGS", &mut self.blocked_flags);
        list("CODEX_CLI_PATH_OPTION_NAMES", &mut self.path_option_names);
        list("CODEX_CLI_PATH_OPTION_PATTERNS", &mut self.path_option_patterns);
        let mut paths = self.allowed_paths.take().unwrap_or_default();
        let set = !paths.is_empty() || items("CODEX_CLI_ALLOWED_PATHS").is_some();
        list("CODEX_CLI_ALLOWED_PATHS", &mut paths);
        self.allowed_paths = set.then_some(paths);
        if let Some(items) = items("CODEX_CLI_ALLOWED_SUBCOMMANDS") {
            // An empty item is the empty subcommand, as in `,exec`; `""` is how the guides write it.
            let plain = |item: String| if item == "\"\"" { String::new() } else { item };
            self.allowed_subcommands = items.into_iter().map(plain).collect();
        }
        self.check()
    }

    pub(super) fn check(&self) -> Result<(), UserError> {
        for pattern in &self.path_option_patterns {
            self.pattern(pattern)
                .map_err(|error| invalid(format!("guard.path_option_patterns: `{pattern}`: {error}.")))?;
        }
        let folders = self.allowed_workdirs.iter().chain(self.allowed_paths.iter().flatten());
        if let Some(named) = folders.into_iter().find(|path| path.starts_with('~') && !is_home(path)) {
            return Err(invalid(format!("guard: `{named}` is the home of another user; write `~/…`.")));
        }
        if self.allowed_binaries.iter().any(|name| name.split_whitespace().count() != 1) {
            return Err(invalid("guard.allowed_binaries: each is one word, a name or a path.".to_owned()));
        }
        Ok(())
    }

    /// Returns the compiled patterns of path options. One that cannot be compiled was refused when the
    /// configuration was read.
    pub fn path_patterns(&self) -> Vec<Regex> {
        self.path_option_patterns.iter().filter_map(|pattern| self.pattern(pattern).ok()).collect()
    }

    fn pattern(&self, pattern: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{pattern})$"))
    }
}

fn is_home(path: &str) -> bool {
    path == "~" || path.starts_with("~/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_section_it_is_codex_in_the_repository_and_nothing_else() {
        let config = GuardConfig::default();
        assert_eq!(config.allowed_binaries, ["codex"]);
        assert_eq!((config.allowed_workdirs, config.allowed_paths), (vec![".".to_owned()], None));
        assert_eq!(config.allowed_subcommands, ["", "exec"]);
    }

    #[test]
    fn the_environment_comes_first_under_the_names_that_operators_know() {
        let mut config = GuardConfig::default();
        let value = |name: &str| {
            Some(match name {
                "CODEX_CLI_ALLOWED_BINARIES" => "codex, /opt/bin/kubectl",
                "CODEX_CLI_ALLOWED_WORKDIRS" => "., /srv/work",
                "CODEX_CLI_ALLOWED_PATHS" => "docs",
                "CODEX_CLI_ALLOWED_SUBCOMMANDS" => "\"\", exec, kubectl get",
                "CODEX_CLI_BLOCKED_FLAGS" => "--yolo,--full-auto",
                "CODEX_CLI_PATH_OPTION_NAMES" => "--log",
                "CODEX_CLI_PATH_OPTION_PATTERNS" => "--.*-dir,--.*-file",
                other => panic!("{other} is no variable of the guides"),
            })
        };
        config.override_by(|name| value(name).map(str::to_owned)).unwrap();
        assert_eq!(config.allowed_binaries, ["codex", "/opt/bin/kubectl"]);
        assert_eq!(config.allowed_workdirs, [".", "/srv/work"]);
        assert_eq!(config.allowed_paths, Some(vec!["docs".to_owned()]));
        assert_eq!(config.allowed_subcommands, ["", "exec", "kubectl get"]);
        assert_eq!(config.blocked_flags, ["--yolo", "--full-auto"]);
        assert_eq!(config.path_option_names, ["--log"]);
        assert!(config.path_patterns().iter().any(|pattern| pattern.is_match("--cache-dir")));
        assert!(!config.path_patterns().iter().any(|pattern| pattern.is_match("--cache-dirs")));
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let mut config = GuardConfig::default();
        config.override_by(|_| Some(" ".to_owned())).unwrap();
        assert_eq!(config.allowed_binaries, ["codex"]);
        assert_eq!(config.allowed_paths, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let with = |change: fn(&mut GuardConfig)| {
            let mut config = GuardConfig::default();
            change(&mut config);
            config.check().unwrap_err().message
        };
        let message = with(|config| config.path_option_patterns = vec!["--(".to_owned()]);
        assert!(message.contains("guard.path_option_patterns: `--(`"), "{message}");
        assert!(with(|config| config.allowed_workdirs = vec!["~root".to_owned()]).contains("~root"));
        assert!(with(|config| config.allowed_binaries = vec!["git push".to_owned()]).contains("one word"));
    }
}
