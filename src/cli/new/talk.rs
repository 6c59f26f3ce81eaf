//! Asking somebody on a terminal, until an answer can be used.

use std::io::{BufRead, Write};

use super::Rule;
use crate::brief::validate;
use crate::brief::{MAX_STEPS, Step};
use crate::error::UserError;
use crate::publish::terminal;

/// A conversation: answers come from one side, questions go to the other.
pub(super) struct Talk<R, W> {
    answers: R,
    questions: W,
}

impl<R: BufRead, W: Write> Talk<R, W> {
    pub(super) fn new(answers: R, questions: W) -> Self {
        Self { answers, questions }
    }

    /// Asks until the answer is one, or empty where there is a default.
    pub(super) fn ask(
        &mut self,
        question: &str,
        default: Option<&str>,
        rule: Rule<'_>,
    ) -> Result<String, UserError> {
        loop {
            let offer = default.map(|default| format!(" [{default}]")).unwrap_or_default();
            self.say(&format!("{question}{offer}: "));
            let answer = self.answer()?;
            let answer = if answer.is_empty() { default.unwrap_or_default().to_owned() } else { answer };
            match rule(&answer) {
                Ok(()) => return Ok(answer),
                Err(problem) => self.say(&format!("  {}\n  {}\n", problem.message, problem.help)),
            }
        }
    }

    /// Asks for steps, each a name and a script; at least one.
    pub(super) fn steps(&mut self) -> Result<Vec<Step>, UserError> {
        let mut steps = Vec::new();
        while steps.len() < MAX_STEPS {
            let (number, end) = (steps.len() + 1, if steps.is_empty() { "" } else { ", or nothing to end" });
            self.say(&format!("What step {number} does, in a few words{end}: "));
            let name = self.answer()?;
            if name.is_empty() && !steps.is_empty() {
                break;
            }
            if let Err(problem) = validate::step_name(&name) {
                self.say(&format!("  {}\n  {}\n", problem.message, problem.help));
                continue;
            }
            let script = self.lines("Its bash script", &|line| validate::script("shell", line))?;
            steps.push(Step::shell(name, script.join("\n") + "\n"));
        }
        Ok(steps)
    }

    /// Asks for lines until an empty one; at least one, and each is held to a rule.
    pub(super) fn lines(&mut self, question: &str, rule: Rule<'_>) -> Result<Vec<String>, UserError> {
        self.say(&format!("{question}; an empty line ends it:\n"));
        let mut lines = Vec::new();
        loop {
            self.say("  > ");
            let line = self.raw_answer()?;
            if line.trim().is_empty() && !lines.is_empty() {
                return Ok(lines);
            }
            match rule(&line) {
                Ok(()) => lines.push(line),
                Err(problem) => self.say(&format!("  {}\n  {}\n", problem.message, problem.help)),
            }
        }
    }

    fn answer(&mut self) -> Result<String, UserError> {
        self.raw_answer().map(|line| line.trim().to_owned())
    }

    fn raw_answer(&mut self) -> Result<String, UserError> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(count) if count > 0 => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
            _ => Err(UserError::new(
                "brief-incomplete",
                "The answers ended before the brief was whole.",
                "Begin again, or give the rest as options (`codex-brief new --help`).",
            )),
        }
    }

    /// Says something; who does not read it sees no brief either.
    fn say(&mut self, text: &str) {
        let _ = self.questions.write_all(terminal::text(text).as_bytes());
        let _ = self.questions.flush();
    }
}
