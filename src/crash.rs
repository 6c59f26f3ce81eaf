//! Instants at which a test lets the server die, as a crash or a power cut would.
//!
//! A build with debug assertions kills its own process by SIGKILL at the point that the variable
//! `CODEX_BRIEF_CRASH_AT` names: `queued.before-commit`, or `queued.before-commit#3` for the third time
//! that it is reached. In a release build a point is nothing at all.
//!
//! Each transition has three: before it is committed, after that and before its effect, and after the
//! effect and before that is recorded. What these are for each stands in `docs/development.md`.

/// Names all points.
pub const POINTS: [&str; 48] = [
    "received.before-commit",
    "received.before-effect",
    "received.before-record",
    "parsed.before-commit",
    "parsed.before-effect",
    "parsed.before-record",
    "authorised.before-commit",
    "authorised.before-effect",
    "authorised.before-record",
    "queued.before-commit",
    "queued.before-effect",
    "queued.before-record",
    "leased.before-commit",
    "leased.before-effect",
    "leased.before-record",
    "checked-out.before-commit",
    "checked-out.before-effect",
    "checked-out.before-record",
    "step-started.before-commit",
    "step-started.before-effect",
    "step-started.before-record",
    "step-ended.before-commit",
    "step-ended.before-effect",
    "step-ended.before-record",
    "collected.before-commit",
    "collected.before-effect",
    "collected.before-record",
    "changeset-stored.before-commit",
    "changeset-stored.before-effect",
    "changeset-stored.before-record",
    "commit-built.before-commit",
    "commit-built.before-effect",
    "commit-built.before-record",
    "branch-pushed.before-commit",
    "branch-pushed.before-effect",
    "branch-pushed.before-record",
    "pr-opened.before-commit",
    "pr-opened.before-effect",
    "pr-opened.before-record",
    "output-commented.before-commit",
    "output-commented.before-effect",
    "output-commented.before-record",
    "comment-written.before-commit",
    "comment-written.before-effect",
    "comment-written.before-record",
    "done.before-commit",
    "done.before-effect",
    "done.before-record",
];

/// Does nothing.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &str) {}

/// Kills this process if a test asks for it here.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ASKED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);
    let asked = ASKED.get_or_init(|| asked(&std::env::var("CODEX_BRIEF_CRASH_AT").ok()?));
    if let Some((point, time)) = asked
        && point == name
        && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *time
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// Reads `NAME` or `NAME#TIME`, counted from 1.
#[cfg(debug_assertions)]
fn asked(text: &str) -> Option<(String, u32)> {
    let (name, time) = text.split_once('#').unwrap_or((text, "1"));
    Some((name.to_owned(), time.parse().ok()?))
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_point_is_asked_for_by_its_name_and_perhaps_the_time() {
        assert_eq!(asked("done.before-effect"), Some(("done.before-effect".to_owned(), 1)));
        assert_eq!(asked("done.before-effect#3"), Some(("done.before-effect".to_owned(), 3)));
        assert_eq!(asked("done.before-effect#often"), None);
    }

    #[test]
    fn each_transition_has_its_three_points() {
        let names: BTreeSet<&str> = POINTS.into_iter().collect();
        let transitions: BTreeSet<&str> = names.iter().filter_map(|name| name.split('.').next()).collect();
        assert_eq!((names.len(), transitions.len()), (48, 16));
        for transition in transitions {
            for place in ["commit", "effect", "record"] {
                assert!(names.contains(format!("{transition}.before-{place}").as_str()), "{transition}");
            }
        }
    }
}
