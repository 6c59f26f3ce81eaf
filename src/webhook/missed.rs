//! Which deliveries were missed, told from GitHub's delivery log and from what the store knows.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::event;
use crate::github::hook::HookDelivery;
use crate::store::models::Missed;

/// A try without an answer may still be under way for so long: GitHub waits 10 seconds.
const UNDER_WAY_MS: i64 = 15_000;

/// A delivery that GitHub made and the store does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedDelivery {
    /// Tells what it is, named by its GUID.
    pub missed: Missed,
    /// Holds the id of its last try, by which GitHub can be asked for another.
    pub log_id: u64,
}

/// Returns the deliveries of a log that were missed, oldest first: those that the store does not know,
/// whatever was answered, since a store that was restored has lost what it had taken.
///
/// `now_ms` is the present time, and `serving_since_ms` that at which this server came up: what was tried
/// before that is not under way.
pub fn missed(
    log: &[HookDelivery],
    known: &HashSet<String>,
    now_ms: i64,
    serving_since_ms: i64,
) -> Vec<MissedDelivery> {
    let mut by_guid: HashMap<&str, Vec<&HookDelivery>> = HashMap::new();
    for entry in log.iter().filter(|entry| event::is_listened_to(&entry.event, entry.action.as_deref())) {
        by_guid.entry(&entry.guid).or_default().push(entry);
    }
    let under_way = |entry: &HookDelivery| {
        let at = entry.delivered_at.timestamp_millis();
        entry.status_code == 0 && at >= serving_since_ms && now_ms - at < UNDER_WAY_MS
    };
    let of_guid = |(guid, tries): (&str, Vec<&HookDelivery>)| {
        let first = tries.iter().min_by_key(|entry| (entry.delivered_at, entry.id))?;
        let last = tries.iter().max_by_key(|entry| (entry.delivered_at, entry.id))?;
        if known.contains(guid) || under_way(last) {
            return None;
        }
        let what = [first.event.as_str(), first.action.as_deref().unwrap_or_default()].join(" ");
        let at_ms = first.delivered_at.timestamp_millis();
        let missed = Missed { name: guid.to_owned(), what: what.trim_end().to_owned(), at_ms };
        Some((first.id, MissedDelivery { missed, log_id: last.id }))
    };
    let mut missed: Vec<_> = by_guid.into_iter().filter_map(of_guid).collect();
    missed.sort_by_key(|(first, one)| (one.missed.at_ms, *first));
    missed.into_iter().map(|(_, one)| one).collect()
}

/// Tells from a delivery's event and body what it is about, such as `issue_comment created in octo/app#4`.
pub fn describe(event: &str, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let mut text = event.to_owned();
    if let Some(action) = body["action"].as_str() {
        text.push_str(&format!(" {action}"));
    }
    if let Some(repository) = body["repository"]["full_name"].as_str() {
        text.push_str(&format!(" in {repository}"));
    }
    let number = |part: &str| body[part]["number"].as_u64();
    if let Some(number) = number("issue").or_else(|| number("pull_request")) {
        text.push_str(&format!("#{number}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn entry(id: u64, guid: &str, at: i64, status_code: u16) -> HookDelivery {
        HookDelivery {
            id,
            guid: guid.to_owned(),
            delivered_at: DateTime::from_timestamp_millis(at).unwrap(),
            redelivery: false,
            status_code,
            event: "issues".to_owned(),
            action: Some("opened".to_owned()),
        }
    }

    fn names(missed: &[MissedDelivery]) -> Vec<(&str, u64)> {
        missed.iter().map(|one| (one.missed.name.as_str(), one.log_id)).collect()
    }

    #[test]
    fn what_the_store_knows_is_fine_and_what_it_does_not_is_missed_whatever_was_answered() {
        let log = [entry(5, "new", 90, 502), entry(4, "lost", 80, 202), entry(3, "known", 70, 502)];
        let known = HashSet::from(["known".to_owned()]);
        let missed = missed(&log, &known, 1_000_000, 0);
        assert_eq!(names(&missed), [("lost", 4), ("new", 5)]);
        assert_eq!(missed[0].missed.what, "issues opened");
    }

    #[test]
    fn several_tries_are_one_delivery_and_the_last_is_repeated() {
        let log = [entry(9, "a", 500, 502), entry(2, "b", 200, 0), entry(1, "a", 100, 0)];
        let missed = missed(&log, &HashSet::new(), 1_000_000, 0);
        assert_eq!(names(&missed), [("a", 9), ("b", 2)]);
        assert_eq!(missed[0].missed.at_ms, 100);
    }

    #[test]
    fn what_is_under_way_is_not_missed_unless_nobody_listened_then() {
        let log = [entry(1, "a", 100_000, 0)];
        assert_eq!(missed(&log, &HashSet::new(), 105_000, 99_000), []);
        assert_eq!(missed(&log, &HashSet::new(), 105_000, 101_000).len(), 1);
        assert_eq!(missed(&log, &HashSet::new(), 116_000, 99_000).len(), 1);
    }

    #[test]
    fn what_nobody_here_listens_to_is_not_missed() {
        let star = HookDelivery { event: "star".to_owned(), ..entry(1, "a", 100, 502) };
        assert_eq!(missed(&[star], &HashSet::new(), 1_000_000, 0), []);
    }

    #[test]
    fn a_delivery_is_described_by_its_thread_and_an_odd_one_by_its_event() {
        let body = br#"{"action":"created","repository":{"full_name":"o/r"},"issue":{"number":4}}"#;
        assert_eq!(describe("issue_comment", body), "issue_comment created in o/r#4");
        assert_eq!(describe("issues", b"\xff"), "issues");
    }

    proptest! {
        #[test]
        fn each_unknown_guid_is_missed_once_in_order(
            tries in prop::collection::vec((0_u8..12, 0_i64..1_000, 0_u16..600), 0..40),
            known in prop::collection::hash_set(0_u8..12, 0..12),
        ) {
            let log: Vec<HookDelivery> = tries.iter().enumerate()
                .map(|(id, (guid, at, status))| entry(id as u64, &guid.to_string(), *at, *status)).collect();
            let known: HashSet<String> = known.iter().map(u8::to_string).collect();
            let missed = missed(&log, &known, 1_000_000, 0);
            let found: HashSet<&str> = missed.iter().map(|one| one.missed.name.as_str()).collect();
            prop_assert_eq!(found.len(), missed.len());
            for entry in &log {
                prop_assert_eq!(found.contains(entry.guid.as_str()), !known.contains(&entry.guid));
            }
            prop_assert!(missed.windows(2).all(|two| two[0].missed.at_ms <= two[1].missed.at_ms));
        }
    }
}
