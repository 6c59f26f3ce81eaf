//! One entry of `steps`: what it does, and under which conditions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The interpreter of a `python` step that names none.
pub const PYTHON: &str = "python3";

/// One entry of `steps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Names the step in logs and comments.
    pub name: String,
    /// Holds what the step does.
    #[serde(flatten)]
    pub work: Work,
    /// Holds variables of the step by name; the lane's operator allows the names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Tells when the step runs.
    #[serde(default, rename = "if", skip_serializing_if = "When::is_usual")]
    pub when: When,
    /// Bounds the step's wall time beside the lane; written as `90s`, `10m` or `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// Tells that a failure of the step does not end the run.
    #[serde(default, skip_serializing_if = "is_false")]
    pub continue_on_error: bool,
}

/// What a step does; each kind is a field of the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Work {
    /// Runs a script by bash.
    Shell {
        /// Holds the script.
        shell: String,
    },
    /// Runs a script by Python.
    Python {
        /// Holds the script.
        python: String,
        /// Names the program; [`PYTHON`] if `None`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interpreter: Option<String>,
    },
    /// Makes targets of the repository's makefile.
    Make {
        /// Names the targets; never empty.
        make: Vec<String>,
        /// Holds variables that the makefile is given.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        variables: BTreeMap<String, String>,
    },
    /// Asks the lane's cluster something, or tells it to change.
    Kubectl {
        /// Holds the arguments, the verb first; never empty.
        kubectl: Vec<String>,
    },
}

/// When a step runs. No step runs after a run was stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// Only while no step before it has failed.
    #[default]
    #[serde(rename = "success()")]
    Success,
    /// Only after a step before it has failed.
    #[serde(rename = "failure()")]
    Failure,
    /// Whatever became of the steps before it.
    #[serde(rename = "always()")]
    Always,
}

impl When {
    /// Lists every condition as it is written.
    pub const WORDS: [(&'static str, Self); 3] =
        [("always()", Self::Always), ("failure()", Self::Failure), ("success()", Self::Success)];

    /// Tells whether a step runs when one before it has failed, or none has.
    pub fn holds(self, failed: bool) -> bool {
        match self {
            Self::Success => !failed,
            Self::Failure => failed,
            Self::Always => true,
        }
    }

    fn is_usual(&self) -> bool {
        *self == Self::Success
    }

    /// Returns the condition as it is written.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, when)| *when == self).map_or("success()", |(word, _)| word)
    }
}

/// A time, kept as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timeout(String);

impl Timeout {
    /// The longest time that can be written, in seconds: a day.
    pub const MOST_SECONDS: u64 = 24 * 3600;

    /// Reads a number of 1 to 5 digits with `s`, `m` or `h` behind it; `None` for anything else, and for a
    /// time above [`Self::MOST_SECONDS`].
    pub fn read(text: &str) -> Option<Self> {
        let timeout = Self(text.to_owned());
        (1..=Self::MOST_SECONDS).contains(&timeout.seconds()).then_some(timeout)
    }

    /// Returns the time as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the time in seconds.
    pub fn seconds(&self) -> u64 {
        let unit = match self.0.bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => return 0,
        };
        let digits = self.0.get(..self.0.len() - 1).unwrap_or_default();
        let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse::<u64>().map_or(0, |number| number * unit) } else { 0 }
    }
}

impl Step {
    /// Makes a step that runs a bash script, and has nothing else set.
    pub fn shell(name: impl Into<String>, script: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            work: Work::Shell { shell: script.into() },
            env: BTreeMap::new(),
            when: When::Success,
            timeout: None,
            continue_on_error: false,
        }
    }

    /// Returns what is set beside name and work, a line each as it stands in a brief; empty for nothing.
    pub fn settings(&self) -> String {
        let mut out = String::new();
        if let Work::Python { interpreter: Some(interpreter), .. } = &self.work {
            let _ = writeln!(out, "interpreter: {interpreter}");
        }
        if self.when != When::Success {
            let _ = writeln!(out, "if: {}", self.when.word());
        }
        if let Some(Timeout(timeout)) = &self.timeout {
            let _ = writeln!(out, "timeout: {timeout}");
        }
        if self.continue_on_error {
            out.push_str("continue_on_error: true\n");
        }
        for (at, (name, value)) in self.env.iter().enumerate() {
            let head = if at == 0 { "env:\n" } else { "" };
            let _ = writeln!(out, "{head}  {name}: {}", in_quotes(value));
        }
        out
    }
}

impl Work {
    /// Returns what the step does as people read it, with the language that it is written in: the script, or
    /// the command line that comes to the same.
    pub fn shown(&self) -> (&'static str, String) {
        match self {
            Self::Shell { shell } => ("sh", shell.clone()),
            Self::Python { python, .. } => ("python", python.clone()),
            Self::Make { .. } | Self::Kubectl { .. } => {
                let words: Vec<String> = self.words().iter().map(|word| quoted(word)).collect();
                ("sh", words.join(" "))
            }
        }
    }

    /// Returns the field that makes the step one of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Shell { .. } => "shell",
            Self::Python { .. } => "python",
            Self::Make { .. } => "make",
            Self::Kubectl { .. } => "kubectl",
        }
    }

    /// Returns the program and its arguments, as far as they stand in the brief: for a script, the
    /// interpreter alone.
    pub fn words(&self) -> Vec<String> {
        let own = |text: &str| vec![text.to_owned()];
        match self {
            Self::Shell { .. } => own("bash"),
            Self::Python { interpreter, .. } => own(interpreter.as_deref().unwrap_or(PYTHON)),
            Self::Make { make, variables } => {
                let variables = variables.iter().map(|(name, value)| format!("{name}={value}"));
                [own("make"), make.clone(), variables.collect()].concat()
            }
            Self::Kubectl { kubectl } => [own("kubectl"), kubectl.clone()].concat(),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Returns a value as JSON and YAML write it in double quotes.
fn in_quotes(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// Returns a word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("10m", 600), ("24h", 86_400), ("86400s", 86_400)] {
            assert_eq!(Timeout::read(text).unwrap().seconds(), seconds, "{text}");
        }
        for text in ["", "s", "0s", "10", "1.5h", "-1s", "1 s", "25h", "123456s", "1d", "+1s", "1sé", "é"] {
            assert_eq!(Timeout::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_condition_holds_by_what_became_of_the_steps_before() {
        let holds = |when: When| (when.holds(false), when.holds(true));
        assert_eq!(holds(When::Success), (true, false));
        assert_eq!(holds(When::Failure), (false, true));
        assert_eq!(holds(When::Always), (true, true));
    }

    #[test]
    fn a_step_is_shown_as_it_runs() {
        let make = Work::Make {
            make: vec!["all".into()],
            variables: BTreeMap::from([("TO".into(), "it's $(x)".into())]),
        };
        assert_eq!(make.shown(), ("sh", r"make all 'TO=it'\''s $(x)'".to_owned()));
        let kubectl = Work::Kubectl { kubectl: vec!["get".into(), "pods".into(), String::new()] };
        assert_eq!(kubectl.shown().1, "kubectl get pods ''");
        let mut step = Step::shell("a", "true");
        assert_eq!(step.settings(), "");
        step.when = When::Always;
        step.timeout = Timeout::read("10m");
        step.continue_on_error = true;
        step.env = BTreeMap::from([("A".into(), "1\n2".into()), ("B".into(), "\"".into())]);
        assert_eq!(
            step.settings(),
            "if: always()\ntimeout: 10m\ncontinue_on_error: true\nenv:\n  A: \"1\\n2\"\n  B: \"\\\"\"\n"
        );
    }

    #[test]
    fn as_json_a_step_has_the_fields_of_a_brief() {
        let json = serde_json::to_value(Step::shell("a", "true")).unwrap();
        assert_eq!(json, serde_json::json!({"name": "a", "shell": "true"}));
        assert_eq!(serde_json::from_value::<Step>(json).unwrap(), Step::shell("a", "true"));
    }
}
