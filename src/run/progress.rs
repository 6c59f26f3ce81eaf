//! How far a run is, while it works.

use super::report::StepReport;
use super::steps::StepEvent;

/// What is known of a run that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Names the run.
    pub run: String,
    /// Holds when it began, in milliseconds since 1970.
    pub began_at_ms: i64,
    /// Holds the commit beside which it is shown, 40 hex digits, once that is known.
    pub commit: Option<String>,
    /// Holds its steps, once they are known.
    pub steps: Vec<StepProgress>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProgress {
    /// Names the step.
    pub name: String,
    /// Tells where it stands.
    pub stands: Stands,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// It has not begun.
    Waits,
    /// It began at a time in milliseconds since 1970.
    Runs(i64),
    /// It ended, or was skipped.
    Ended(Box<StepReport>),
}

impl Progress {
    /// Makes the progress of a run that begins.
    pub fn begin(run: &str, now_ms: i64) -> Self {
        Self { run: run.to_owned(), began_at_ms: now_ms, commit: None, steps: Vec::new() }
    }

    /// Notes where a run is shown, and its steps.
    pub fn prepare(&mut self, commit: Option<String>, steps: impl Iterator<Item = String>) {
        self.commit = commit;
        self.steps = steps.map(|name| StepProgress { name, stands: Stands::Waits }).collect();
    }

    /// Notes what happened to a step; returns whether that is worth telling.
    pub fn note(&mut self, event: &StepEvent, now_ms: i64) -> bool {
        let (index, stands) = match event {
            StepEvent::Started { index, .. } => (*index, Stands::Runs(now_ms)),
            StepEvent::Ended { index, report } => (*index, Stands::Ended(report.clone())),
            StepEvent::Output { .. } => return false,
        };
        let Some(step) = self.steps.get_mut(index) else { return false };
        step.stands = stands;
        true
    }

    /// Returns the step that runs, counted from 1, and when it began, in milliseconds since 1970.
    pub fn current(&self) -> Option<(usize, &StepProgress, i64)> {
        (1..).zip(&self.steps).find_map(|(number, step)| match step.stands {
            Stands::Runs(since) => Some((number, step, since)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::report::{LogSummary, StepStatus};

    #[test]
    fn a_step_waits_runs_and_ends_and_what_it_prints_is_no_progress() {
        let mut progress = Progress::begin("run", 1);
        let started = |index| StepEvent::Started { index, name: "a".to_owned() };
        assert!(!progress.note(&started(0), 2), "no step is known yet");
        progress.prepare(None, ["a".to_owned(), "b".to_owned()].into_iter());
        assert_eq!(progress.current(), None);
        assert!(progress.note(&started(0), 5));
        assert_eq!(progress.current().map(|(number, _, since)| (number, since)), Some((1, 5)));
        assert!(!progress.note(&StepEvent::Output { index: 0, bytes: b"x".to_vec() }, 6));
        let report = Box::new(StepReport {
            tolerated: false,
            name: "a".to_owned(),
            status: StepStatus::Succeeded,
            exit_code: Some(0),
            signal: None,
            duration_ms: 3,
            log: LogSummary::default(),
        });
        assert!(progress.note(&StepEvent::Ended { index: 0, report: report.clone() }, 8));
        assert_eq!(progress.current(), None);
        let stands: Vec<&Stands> = progress.steps.iter().map(|step| &step.stands).collect();
        assert_eq!(stands, [&Stands::Ended(report), &Stands::Waits]);
    }
}
