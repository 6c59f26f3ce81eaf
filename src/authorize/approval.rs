//! Which briefs need a person's approval, what an approval stands for, and who may give it.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::permission::Permission;
use super::policy::Decision;
use crate::brief::{BriefId, Source};
use crate::config::{Approval, AuthorizeConfig, LaneConfig};

/// Names this way of hashing, as that of brief ids does.
const DIGEST_DOMAIN: &str = "codex-brief/approval/v1";

/// The digits of a digest that people write: 128 bits, so that nobody finds two texts with the same.
pub const DIGEST_DIGITS: usize = 32;

/// The settings of a lane by name, such as `limits.wall_seconds`, each written as JSON.
pub type Settings = BTreeMap<String, String>;

/// Under which terms a brief would run: what an approval is good for.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Tells whose approval it needs.
    pub needed: Approval,
    /// Holds the settings of the lane and the bounds of the policy.
    pub settings: Settings,
    /// Is the SHA-256 over the settings and everything else that is written in the policy, in hexadecimal
    /// digits.
    pub version: String,
}

impl Terms {
    /// Returns the terms of a lane, by what the policy decided for it.
    pub fn of(lane: &LaneConfig, decision: &Decision) -> Self {
        let mut settings = Settings::new();
        flatten(String::new(), &serde_json::to_value(lane).unwrap_or_default(), &mut settings);
        let bounds = serde_json::to_value(&decision.bounds).unwrap_or_default();
        flatten("policy".to_owned(), &bounds, &mut settings);
        // As a list, so that a change is told and the digest is not.
        settings.insert("policy".to_owned(), format!("[{:?}]", decision.policy_version));
        let mut hash = Sha256::new();
        for (name, value) in &settings {
            part(&mut hash, name.as_bytes());
            part(&mut hash, value.as_bytes());
        }
        Self { needed: decision.bounds.approval, settings, version: hex::encode(hash.finalize()) }
    }
}

fn flatten(name: String, value: &serde_json::Value, into: &mut Settings) {
    match value {
        serde_json::Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(name, value, into);
            }
        }
        value => drop(into.insert(name, value.to_string())),
    }
}

/// Tells which settings differ, a line for each. Values of lists are left out, since they can name what
/// is the operator's alone, such as paths.
pub fn policy_changes(before: &Settings, now: &Settings) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let told = |value: Option<&String>| match value {
        None => Some("unset".to_owned()),
        Some(value) if value.starts_with('[') => None,
        Some(value) => Some(value.trim_matches('"').to_owned()),
    };
    let line = |name: &String| match (told(before.get(name)), told(now.get(name))) {
        (Some(before), Some(now)) => format!("{name}: {before} → {now}"),
        _ => format!("{name} is another"),
    };
    names.into_iter().filter(|name| before.get(*name) != now.get(*name)).map(line).collect()
}

/// Returns the digest that people approve: the first [`DIGEST_DIGITS`] digits of the SHA-256 over the
/// brief's identity (repository, text, block and its exact content), its source, the base commit, the lane's
/// name and the version of its policy.
pub fn digest(
    brief: &BriefId,
    source: &Source,
    base_commit: &str,
    lane: &str,
    policy_version: &str,
) -> String {
    let mut hash = Sha256::new();
    let parts: [&[u8]; 8] = [
        DIGEST_DOMAIN.as_bytes(),
        brief.as_bytes(),
        &source.repository_id.to_be_bytes(),
        source.kind.as_str().as_bytes(),
        &source.id.to_be_bytes(),
        base_commit.as_bytes(),
        lane.as_bytes(),
        policy_version.as_bytes(),
    ];
    for one in parts {
        part(&mut hash, one);
    }
    let mut digits = hex::encode(hash.finalize());
    digits.truncate(DIGEST_DIGITS);
    digits
}

/// Each part goes in behind its length, so no two lists of parts hash the same bytes.
fn part(hash: &mut Sha256, part: &[u8]) {
    hash.update((part.len() as u64).to_be_bytes());
    hash.update(part);
}

/// Who has to do with a brief, by their ids.
#[derive(Debug, Clone, Copy)]
pub struct People {
    /// Wrote the text.
    pub author: u64,
    /// Caused the delivery that brought it.
    pub sender: u64,
    /// Edited the text last, if somebody did.
    pub last_editor: Option<u64>,
}

/// Why somebody may not approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Their permission on the repository is not enough, and they are not named; holds what they have.
    Permission(Permission),
    /// They wrote the text.
    Author,
    /// They edited it last.
    Editor,
    /// They posted it.
    Sender,
    /// The policy of the lane names others.
    Policy,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permission(found) => {
                write!(f, "the permission is `{found}`, which is not enough to approve")
            }
            Self::Author => f.write_str("the author of a text cannot approve it here"),
            Self::Editor => f.write_str("whoever edited a text last cannot approve it here"),
            Self::Sender => f.write_str("whoever posted a text cannot approve it here"),
            Self::Policy => f.write_str("the policy names others who may run and approve briefs here"),
        }
    }
}

/// Tells why an account may not approve, if it may not; `found` is its live permission.
pub fn unfit(
    config: &AuthorizeConfig,
    needed: Approval,
    id: u64,
    found: Permission,
    people: People,
) -> Option<Unfit> {
    let enough = match &config.approvers {
        None => true,
        Some(approvers) => {
            approvers.users.contains(&id)
                || approvers.minimum_permission.is_some_and(|least| found >= Permission::from(least))
        }
    };
    if !enough || found < Permission::from(config.minimum_permission) {
        return Some(Unfit::Permission(found));
    }
    if needed != Approval::SecondPerson {
        return None;
    }
    match id {
        id if id == people.author => Some(Unfit::Author),
        id if Some(id) == people.last_editor => Some(Unfit::Editor),
        id if id == people.sender => Some(Unfit::Sender),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorize::policy::Bounds;
    use crate::brief::{SourceKind, text_digest};
    use crate::config::{Approvers, Budget, MinimumPermission, Network};

    #[test]
    fn every_part_of_what_is_approved_counts() {
        let source = Source { repository_id: 1, kind: SourceKind::IssueBody, id: 2 };
        let brief = |text| BriefId::new(&source, 0, text_digest(text));
        let digest_of = |text, base, lane, policy| digest(&brief(text), &source, base, lane, policy);
        let first = digest_of("abc", "c1", "lane", "p1");
        assert_eq!(first.len(), DIGEST_DIGITS);
        assert_eq!(first, digest_of("abc", "c1", "lane", "p1"));
        let others = [
            digest_of("abd", "c1", "lane", "p1"),
            digest_of("abc", "c2", "lane", "p1"),
            digest_of("abc", "c1", "lane2", "p1"),
            digest_of("abc", "c1", "lane", "p2"),
            digest(&brief("abc"), &Source { repository_id: 3, ..source }, "c1", "lane", "p1"),
            digest(&brief("abc"), &Source { kind: SourceKind::Review, ..source }, "c1", "lane", "p1"),
            digest(&brief("abc"), &Source { id: 3, ..source }, "c1", "lane", "p1"),
            digest(&BriefId::new(&source, 1, text_digest("abc")), &source, "c1", "lane", "p1"),
        ];
        assert!(others.iter().all(|other| *other != first), "{others:?}");
    }

    #[test]
    fn every_setting_of_a_lane_is_in_its_policy_version_and_a_change_is_told() {
        let lane = LaneConfig::named("devbox-codex");
        let mut other = lane.clone();
        other.network = Network::Full;
        other.limits.wall_seconds = 60;
        other.environment = vec!["JAVA_HOME".to_owned()];
        let terms = |lane: &LaneConfig, version: &str| {
            let decision = Decision {
                verdict: Ok(()),
                rule: String::new(),
                bounds: Bounds {
                    gate: crate::config::Gate::None,
                    gate_rule: String::new(),
                    approval: Approval::Required,
                    approval_rule: "server".to_owned(),
                    network: Network::None,
                    network_rule: "server".to_owned(),
                    commit: lane.commit,
                    commit_rule: "server".to_owned(),
                    limits: lane.limits.clone(),
                    protected_paths: Vec::new(),
                    budget: Budget::default(),
                },
                policy_version: version.to_owned(),
            };
            Terms::of(lane, &decision)
        };
        let (before, now) = (terms(&lane, "p1"), terms(&other, "p1"));
        assert_eq!(before.needed, Approval::Required);
        assert_eq!(before.version, terms(&lane, "p1").version);
        assert_ne!(before.version, now.version);
        let changes = policy_changes(&before.settings, &now.settings);
        let told = [
            "environment is another",
            "limits.wall_seconds: 1800 → 60",
            "network: none → full",
            "policy.limits.wall_seconds: 1800 → 60",
        ];
        assert_eq!(changes, told);
        let elsewhere = terms(&lane, "p2");
        assert_ne!(before.version, elsewhere.version);
        assert_eq!(policy_changes(&before.settings, &elsewhere.settings), ["policy is another"]);
    }

    #[test]
    fn who_may_approve() {
        let people = People { author: 1, sender: 2, last_editor: Some(3) };
        let mut config = AuthorizeConfig::default();
        let may = |config: &AuthorizeConfig, needed, id, found| unfit(config, needed, id, found, people);
        let (write, admin) = (Permission::Write, Permission::Admin);
        for id in 1..5 {
            assert_eq!(may(&config, Approval::Required, id, write), None);
        }
        let second = Approval::SecondPerson;
        assert_eq!(may(&config, second, 1, admin), Some(Unfit::Author));
        assert_eq!(may(&config, second, 2, admin), Some(Unfit::Sender));
        assert_eq!(may(&config, second, 3, admin), Some(Unfit::Editor));
        assert_eq!(may(&config, second, 4, write), None);
        let read = Permission::Read;
        assert_eq!(may(&config, second, 4, read), Some(Unfit::Permission(read)));
        let maintain = Some(MinimumPermission::Maintain);
        config.approvers = Some(Approvers { minimum_permission: maintain, users: vec![5] });
        assert_eq!(may(&config, second, 4, write), Some(Unfit::Permission(write)));
        assert_eq!(may(&config, second, 4, Permission::Maintain), None);
        assert_eq!(may(&config, second, 5, write), None);
        assert_eq!(may(&config, second, 5, read), Some(Unfit::Permission(read)), "named, but let in no more");
    }
}
