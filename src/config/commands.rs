//! The `[commands]` section.

use serde::{Deserialize, Serialize};

use super::{MinimumPermission, invalid};
use crate::error::UserError;

/// What each command needs. A command that is not named needs what a brief needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CommandsConfig {
    /// Holds what `/work start` needs, beside what a brief needs.
    pub start: Option<Level>,
    /// Holds what `/work retry` needs, beside what a brief needs.
    pub retry: Option<Level>,
    /// Holds what `/work publish` needs, beside what a brief needs.
    pub publish: Option<Level>,
    /// Holds what `/work cancel` needs.
    pub cancel: Option<Level>,
    /// Holds what `/stop` needs.
    pub stop: Option<Level>,
    /// Holds what `/work status` needs.
    pub work_status: Option<Level>,
    /// Holds what `/work plan` needs.
    pub plan: Option<Level>,
    /// Holds what `/task list` and `/task show` need.
    pub task: Option<Level>,
    /// Holds what `/status` needs.
    pub status: Option<Level>,
    /// Holds what `/ask` needs.
    pub ask: Option<Level>,
    /// Holds what `/help` needs.
    pub help: Option<Level>,
}

/// The least permission on the repository, or nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Whoever can read it.
    Read,
    /// Whoever sorts its issues.
    Triage,
    /// Whoever may push.
    Write,
    /// Whoever may manage it without its sensitive settings.
    Maintain,
    /// Whoever may do everything.
    Admin,
    /// Nobody: the word is left to other programs.
    Off,
}

impl From<MinimumPermission> for Level {
    fn from(minimum: MinimumPermission) -> Self {
        match minimum {
            MinimumPermission::Write => Self::Write,
            MinimumPermission::Maintain => Self::Maintain,
            MinimumPermission::Admin => Self::Admin,
        }
    }
}

impl CommandsConfig {
    pub(super) fn check(&self) -> Result<(), UserError> {
        let (runs, ends) =
            ("what lets a brief run needs at least `write`", "what ends a brief needs at least `triage`");
        let least = [
            ("start", self.start, Level::Write, runs),
            ("retry", self.retry, Level::Write, runs),
            ("publish", self.publish, Level::Write, runs),
            ("cancel", self.cancel, Level::Triage, ends),
            ("stop", self.stop, Level::Triage, ends),
        ];
        match least.into_iter().find(|(_, said, least, _)| said.is_some_and(|said| said < *least)) {
            Some((key, .., why)) => Err(invalid(format!("commands.{key}: {why}."))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_a_brief_run_or_ends_it_cannot_be_given_to_everybody() {
        let check = |text: &str| toml::from_str::<CommandsConfig>(text).unwrap().check();
        for fine in
            ["help = \"read\"\nstatus = \"off\"", "stop = \"triage\"", "retry = \"admin\"", "start = \"off\""]
        {
            assert!(check(fine).is_ok(), "{fine}");
        }
        for (wrong, key) in [("retry = \"triage\"", "commands.retry"), ("stop = \"read\"", "commands.stop")] {
            assert!(check(wrong).unwrap_err().message.contains(key), "{wrong}");
        }
        assert!(toml::from_str::<CommandsConfig>("work = \"read\"").is_err());
    }
}
