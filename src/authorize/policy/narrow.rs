//! From what is written to what holds: each section takes away, and nothing adds.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Bounds, Policy, Written};
use crate::authorize::lanes::any_covers;
use crate::config::{
    Approval, AuthorizeConfig, Budget, CommitWay, Gate, Limits, Network, PolicySection, RepositoryFile,
    TextSource,
};

/// A value, and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) rule: String,
}

fn said<T>(value: T, rule: impl Into<String>) -> Said<T> {
    Said { value, rule: rule.into() }
}

/// Returns a time in words, at least a minute.
pub(super) fn ago(ms: i64) -> String {
    let minutes = (ms.max(0) + 59_999) / 60_000;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{} min", minutes.max(1)),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Everything that is written and goes into a policy; its digest is the policy's version.
#[derive(Serialize)]
struct Parts<'a> {
    format: u32,
    authorize: &'a AuthorizeConfig,
    lane: Option<(&'a str, Approval, &'a Network, CommitWay, &'a Limits)>,
    sections: Vec<&'a PolicySection>,
    file: Option<&'a RepositoryFile>,
    broken: Option<&'a str>,
}

pub(super) fn policy(written: Written<'_>) -> Policy {
    let Written { authorize, lane, repository, .. } = written;
    let named = (authorize.users.is_some() || authorize.teams.is_some()).then(|| {
        let both = (authorize.users.clone().unwrap_or_default(), authorize.teams.clone().unwrap_or_default());
        said(both, "server: [authorize] users, teams")
    });
    let bounds = Bounds {
        gate: Gate::None,
        gate_rule: String::new(),
        approval: lane.map_or(Approval::None, |lane| lane.approval),
        approval_rule: of_lane(written, "approval"),
        network: lane.map_or(Network::Full, |lane| lane.network.clone()),
        network_rule: of_lane(written, "network"),
        commit: lane.map(|lane| lane.commit).unwrap_or_default(),
        commit_rule: of_lane(written, "commit"),
        limits: lane.map(|lane| lane.limits.clone()).unwrap_or_default(),
        protected_paths: Vec::new(),
        budget: Budget::default(),
    };
    let mut policy = Policy {
        repository: repository.to_string(),
        lane: lane.map(|lane| lane.name.clone()),
        public: said(
            any_covers(&authorize.public_repositories, repository),
            "server: [authorize] public_repositories",
        ),
        broken: written.file.and_then(|file| file.as_ref().err().cloned()),
        minimum: said(authorize.minimum_permission, "server: [authorize] minimum_permission"),
        people: named.into_iter().collect(),
        lanes: None,
        sources: Vec::new(),
        forks: said(false, "pull requests from forks may not, unless a [[policy]] says so"),
        bots: Vec::new(),
        bounds,
        widened: Vec::new(),
        version: version(written),
    };
    for (nth, section) in covering(written) {
        policy.take(section, &format!("server: [[policy]] {nth}"));
    }
    // From here on, what asks for more than there is was written by the repository.
    policy.widened.clear();
    if let Some(Ok(file)) = written.file {
        policy.take_file(written, file);
    }
    policy
}

fn of_lane(written: Written<'_>, key: &str) -> String {
    written.lane.map_or("no lane".to_owned(), |lane| format!("server: [[lane]] `{}` {key}", lane.name))
}

/// Returns the server's sections that cover the lane and the repository, counted from 1.
fn covering(written: Written<'_>) -> impl Iterator<Item = (usize, &PolicySection)> {
    let here = move |section: &PolicySection| {
        section.repositories.is_empty() || any_covers(&section.repositories, written.repository)
    };
    (1..).zip(written.policies).filter(move |(_, section)| covers_lane(section, written) && here(section))
}

fn covers_lane(section: &PolicySection, written: Written<'_>) -> bool {
    section.lanes.is_empty() || written.lane.is_some_and(|lane| section.lanes.contains(&lane.name))
}

fn version(written: Written<'_>) -> String {
    let file = written.file.map(|file| file.as_ref());
    let parts = Parts {
        format: 1,
        authorize: written.authorize,
        lane: written
            .lane
            .map(|lane| (lane.name.as_str(), lane.approval, &lane.network, lane.commit, &lane.limits)),
        sections: covering(written).map(|(_, section)| section).collect(),
        file: file.and_then(Result::ok),
        broken: file.and_then(Result::err).map(|error| error.message.as_str()),
    };
    // Numbers, texts and lists always have a JSON.
    let json = serde_json::to_vec(&parts).unwrap_or_default();
    hex::encode(Sha256::digest(json))
}

impl Policy {
    fn take_file(&mut self, written: Written<'_>, file: &RepositoryFile) {
        let path = RepositoryFile::PATH;
        if let Some(lanes) = &file.lanes {
            self.lanes = Some(said(lanes.clone(), format!("{path}: lanes")));
        }
        for (nth, section) in (1..).zip(&file.policies) {
            if covers_lane(section, written) {
                self.take(section, &format!("{path}: [[policy]] {nth}"));
            }
        }
    }

    /// Narrows to a section, and notes each of its keys that asks for more than there is.
    fn take(&mut self, section: &PolicySection, place: &str) {
        let rule = |key: &str| format!("{place} {key}");
        let mut wider = Vec::new();
        if let Some(minimum) = section.minimum_permission {
            match minimum < self.minimum.value {
                true => wider.push(format!("minimum_permission = {:?}", word(&minimum))),
                false => self.minimum = said(minimum, rule("minimum_permission")),
            }
        }
        self.take_people(section, &rule("users, teams"), &mut wider);
        if let Some(sources) = &section.sources {
            let kept_out =
                |source: &&TextSource| !self.sources.iter().all(|said| said.value.contains(source));
            wider.extend(
                sources.iter().filter(kept_out).map(|source| format!("sources: {:?}", source.as_str())),
            );
            self.sources.push(said(sources.clone(), rule("sources")));
        }
        self.take_grants(section, place, &mut wider);
        let bounds = &mut self.bounds;
        match section.approval {
            Some(approval) if approval < bounds.approval => {
                wider.push(format!("approval = {:?}", word(&approval)))
            }
            Some(approval) if approval > bounds.approval => {
                (bounds.approval, bounds.approval_rule) = (approval, rule("approval"));
            }
            _ => {}
        }
        match section.gate {
            Some(gate) if gate < bounds.gate => wider.push(format!("gate = {:?}", word(&gate))),
            Some(gate) if gate > bounds.gate => (bounds.gate, bounds.gate_rule) = (gate, rule("gate")),
            _ => {}
        }
        match section.commit {
            Some(commit) if commit < bounds.commit => wider.push(format!("commit = {:?}", word(&commit))),
            Some(commit) if commit > bounds.commit => {
                (bounds.commit, bounds.commit_rule) = (commit, rule("commit"));
            }
            _ => {}
        }
        if let Some(wanted) = &section.network {
            let (network, beyond) = bounds.network.narrow(wanted);
            if network != bounds.network {
                (bounds.network, bounds.network_rule) = (network, rule("network"));
            }
            wider.extend(beyond.iter().map(|entry| format!("network = {entry:?}")));
        }
        for glob in &section.protected_paths {
            if !bounds.protected_paths.contains(glob) {
                bounds.protected_paths.push(glob.clone());
            }
        }
        wider.extend(section.limits.narrow(&mut bounds.limits).iter().map(|key| format!("limits.{key}")));
        wider.extend(section.budget.narrow(&mut bounds.budget).iter().map(|key| format!("budget.{key}")));
        self.widened.extend(wider.iter().map(|key| format!("{place} {key}")));
    }

    fn take_people(&mut self, section: &PolicySection, rule: &str, wider: &mut Vec<String>) {
        if section.users.is_none() && section.teams.is_none() {
            return;
        }
        let (users, teams) =
            (section.users.clone().unwrap_or_default(), section.teams.clone().unwrap_or_default());
        // Whether a user is in one of the teams that are named elsewhere, nobody knows yet.
        let kept_out =
            |id: &&u64| self.people.iter().any(|said| said.value.1.is_empty() && !said.value.0.contains(id));
        wider.extend(users.iter().filter(kept_out).map(|id| format!("users: {id}")));
        self.people.push(said((users, teams), rule));
    }

    /// Takes what holds only where somebody says so: forks and bots.
    fn take_grants(&mut self, section: &PolicySection, place: &str, wider: &mut Vec<String>) {
        let by_repository = place.starts_with(RepositoryFile::PATH);
        match section.forks {
            Some(true) if by_repository && !self.forks.value => wider.push("forks = true".to_owned()),
            Some(false) => self.forks = said(false, format!("{place} forks = false")),
            Some(true) if !self.forks.rule.ends_with("= false") => {
                self.forks = said(true, format!("{place} forks"));
            }
            _ => {}
        }
        if let Some(bots) = &section.bots {
            let named = |name: &&String| {
                !self.bots.is_empty() && self.bots.iter().all(|said| said.value.contains(name))
            };
            if by_repository {
                wider.extend(bots.iter().filter(|name| !named(name)).map(|name| format!("bots: {name:?}")));
            }
            if !by_repository || !self.bots.is_empty() {
                self.bots.push(said(bots.clone(), format!("{place} bots")));
            }
        }
    }
}

/// Returns the word that a configuration has for a value.
fn word(value: &impl Serialize) -> String {
    let word = serde_json::to_value(value).ok();
    word.as_ref().and_then(|word| word.as_str()).unwrap_or_default().to_owned()
}
