//! Which leases have run out, by a clock that nobody can set.
//!
//! A run's lease is stored as a time of the wall clock, for people. Whether it has run out is decided by
//! whether it was renewed: a lease whose stored time has not changed for as long as a lease lasts is out.
//! So a system clock that is stepped neither ends a living run nor keeps a dead one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Remembers when each lease was last seen to change.
#[derive(Debug, Default)]
pub struct LeaseWatch {
    seen: HashMap<String, (i64, Instant)>,
}

impl LeaseWatch {
    /// Looks at the leases of all runs that work, `(run, lease)` each, and returns the runs whose
    /// lease was not renewed for `lasts`.
    pub fn expired(&mut self, leases: &[(String, i64)], lasts: Duration, now: Instant) -> Vec<String> {
        self.seen.retain(|run, _| leases.iter().any(|(known, _)| known == run));
        let mut expired = Vec::new();
        for (run, lease) in leases {
            let (seen, since) = self.seen.entry(run.clone()).or_insert((*lease, now));
            if seen != lease {
                (*seen, *since) = (*lease, now);
            } else if now.duration_since(*since) >= lasts {
                expired.push(run.clone());
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(45);

    #[test]
    fn a_lease_runs_out_when_it_is_not_renewed_whatever_its_time_says() {
        let (mut watch, start) = (LeaseWatch::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let leases = |lease| vec![("a".to_owned(), lease)];
        // The stored time lies an hour ahead, as after a clock that was stepped back.
        assert!(watch.expired(&leases(3_600_000), LASTS, at(0)).is_empty());
        assert!(watch.expired(&leases(3_600_000), LASTS, at(44)).is_empty());
        assert_eq!(watch.expired(&leases(3_600_000), LASTS, at(45)), ["a"]);
    }

    #[test]
    fn a_renewed_lease_lasts_also_when_its_time_is_long_past() {
        let (mut watch, start) = (LeaseWatch::default(), Instant::now());
        for step in 0..20 {
            let leases = [("a".to_owned(), -1_000 + step)];
            let now = start + Duration::from_secs(10) * u32::try_from(step).unwrap();
            assert!(watch.expired(&leases, LASTS, now).is_empty());
        }
    }

    #[test]
    fn a_run_that_ended_is_forgotten() {
        let (mut watch, start) = (LeaseWatch::default(), Instant::now());
        watch.expired(&[("a".to_owned(), 1)], LASTS, start);
        watch.expired(&[], LASTS, start + LASTS);
        assert!(watch.expired(&[("a".to_owned(), 1)], LASTS, start + LASTS).is_empty());
    }
}
