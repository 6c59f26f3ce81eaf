//! Which ends of a run are retried by themselves (row G5), and why.

use std::fmt;

/// An end that the brief need not be to blame for, so it is worth another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A step ran longer than it may, or printed nothing for too long.
    TimeOut,
    /// A step ended with exit code 130, as after an interrupt.
    Exit130,
    /// A step ended with exit code 137, as after a kill; often memory was short.
    Exit137,
}

/// Tells whether a step's end is such an interruption. `signal` is the signal that ended it, if one did.
/// Whatever else a step ends with would end the same way again.
pub fn interruption(timed_out: bool, exit_code: Option<i32>, signal: Option<i32>) -> Option<Interruption> {
    match (timed_out, exit_code, signal) {
        (true, ..) => Some(Interruption::TimeOut),
        (_, Some(130), _) | (_, None, Some(2)) => Some(Interruption::Exit130),
        (_, Some(137), _) | (_, None, Some(9)) => Some(Interruption::Exit137),
        _ => None,
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeOut => "time-out",
            Self::Exit130 => "exit 130",
            Self::Exit137 => "exit 137",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_and_the_two_signals_are_interruptions_and_nothing_else_is() {
        assert_eq!(interruption(true, None, None), Some(Interruption::TimeOut));
        assert_eq!(interruption(false, Some(130), Some(2)), Some(Interruption::Exit130));
        assert_eq!(interruption(false, Some(137), Some(9)), Some(Interruption::Exit137));
        assert_eq!(interruption(false, None, Some(9)), Some(Interruption::Exit137));
        for code in (0..=255).filter(|code| ![130, 137].contains(code)) {
            assert_eq!(interruption(false, Some(code), None), None, "{code}");
        }
        assert_eq!(interruption(false, None, Some(15)), None);
    }
}
