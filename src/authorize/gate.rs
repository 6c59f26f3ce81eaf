//! The gate of a repository: the label that a thread must carry before its briefs run.

use crate::config::Gate;

/// The label that lets briefs of a thread run, or wait for `/work start` where the gate is `auto`.
pub const ENABLED: &str = "codex:enabled";

/// The label that lets briefs of a thread run by themselves.
pub const AUTO: &str = "codex:auto";

/// Which of the two labels count: those that somebody with the permission put on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GateLabels {
    /// Tells whether [`ENABLED`] does.
    pub enabled: bool,
    /// Tells whether [`AUTO`] does.
    pub auto: bool,
}

/// What a gate lets a brief do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It runs.
    Open,
    /// It waits until somebody starts it.
    Start,
    /// It waits until somebody labels its thread; holds the label.
    Label(&'static str),
}

/// Decides what a gate lets a brief do; `started` tells that somebody with the permission started it.
pub fn passage(gate: Gate, labels: GateLabels, started: bool) -> Passage {
    match gate {
        Gate::None => Passage::Open,
        _ if labels.auto => Passage::Open,
        Gate::Enabled if labels.enabled => Passage::Open,
        Gate::Enabled => Passage::Label(ENABLED),
        Gate::Auto if labels.enabled && started => Passage::Open,
        Gate::Auto if labels.enabled => Passage::Start,
        Gate::Auto => Passage::Label(AUTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_opens_by_its_label_and_by_a_start_only_where_the_thread_is_enabled() {
        let none = GateLabels::default();
        let enabled = GateLabels { enabled: true, auto: false };
        let auto = GateLabels { enabled: false, auto: true };
        for started in [false, true] {
            assert_eq!(passage(Gate::None, none, started), Passage::Open);
            assert_eq!(passage(Gate::Enabled, none, started), Passage::Label(ENABLED));
            assert_eq!(passage(Gate::Enabled, enabled, started), Passage::Open);
            assert_eq!(passage(Gate::Enabled, auto, started), Passage::Open);
            assert_eq!(passage(Gate::Auto, none, started), Passage::Label(AUTO));
            assert_eq!(passage(Gate::Auto, auto, started), Passage::Open);
        }
        assert_eq!(passage(Gate::Auto, enabled, false), Passage::Start);
        assert_eq!(passage(Gate::Auto, enabled, true), Passage::Open);
    }
}
