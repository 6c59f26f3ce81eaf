//! Check runs.

use super::Actor;
use crate::model::{CheckRun, stamp};
use crate::refusal::Refusal;
use crate::repo_git;
use crate::world::World;
use chrono::Utc;
use serde::Deserialize;
use serde_json::{Value, json};

/// GitHub's limit for a check run's summary and text, in characters.
const LONGEST_OUTPUT: usize = 65_535;
/// GitHub's limit of annotations in one request.
const MOST_ANNOTATIONS: usize = 50;
/// GitHub's limit of buttons on a check run.
const MOST_ACTIONS: usize = 3;
/// GitHub's limits for the fields of a button, in characters.
const ACTION_FIELDS: [(&str, usize); 3] = [("label", 20), ("description", 40), ("identifier", 20)];
/// GitHub's limit for a title, in characters.
const LONGEST_TITLE: usize = 255;

/// What shall be of a check run; what is absent stays.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct CheckChange {
    name: Option<String>,
    head_sha: Option<String>,
    external_id: Option<String>,
    details_url: Option<String>,
    status: Option<String>,
    conclusion: Option<String>,
    started_at: Option<String>,
    completed_at: Option<String>,
    output: Option<Value>,
    actions: Option<Vec<Value>>,
}

impl World {
    pub(crate) fn make_check(
        &mut self,
        repository: &str,
        actor: &Actor,
        change: &CheckChange,
    ) -> Result<u64, Refusal> {
        let missing = |field: &str| Refusal::field("CheckRun", field, "missing_field");
        let name = change.name.clone().ok_or_else(|| missing("name"))?;
        let head_sha = change.head_sha.clone().ok_or_else(|| missing("head_sha"))?;
        let repo = self.repository(repository)?;
        if head_sha.len() != 40 || repo_git::commit(&repo.path, &head_sha).is_err() {
            return Err(Refusal::new(422, format!("No commit found for SHA: {head_sha}")));
        }
        let id = self.id();
        let mut run = CheckRun {
            id,
            head_sha,
            name,
            external_id: None,
            details_url: None,
            status: "queued".to_owned(),
            conclusion: None,
            started_at: Some(stamp(Utc::now())),
            completed_at: None,
            output: json!({}),
            annotations: Vec::new(),
            actions: Vec::new(),
        };
        apply(&mut run, change)?;
        self.repository_mut(repository)?.check_runs.insert(id, run);
        self.emit_check("created", repository, id, actor);
        Ok(id)
    }

    pub(crate) fn change_check(
        &mut self,
        repository: &str,
        id: u64,
        actor: &Actor,
        change: &CheckChange,
    ) -> Result<(), Refusal> {
        let runs = &mut self.repository_mut(repository)?.check_runs;
        let mut run = runs.get(&id).ok_or_else(Refusal::not_found)?.clone();
        let before = run.status.clone();
        apply(&mut run, change)?;
        let completed = run.status == "completed" && before != "completed";
        runs.insert(id, run);
        if completed {
            self.emit_check("completed", repository, id, actor);
        }
        Ok(())
    }

    /// Owes the webhook of a press on a check run's button.
    pub(crate) fn press_check_action(
        &mut self,
        repository: &str,
        id: u64,
        actor: &Actor,
        identifier: &str,
    ) -> Result<(), Refusal> {
        let run = self.repository(repository)?.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
        if !run.actions.iter().any(|action| action["identifier"] == identifier) {
            return Err(Refusal::new(404, format!("the check run has no button {identifier}")));
        }
        let about = json!({"requested_action": {"identifier": identifier}});
        self.emit_check_with("requested_action", repository, id, actor, about);
        Ok(())
    }

    /// Owes the webhook of GitHub's own "Re-run".
    pub(crate) fn rerequest_check(
        &mut self,
        repository: &str,
        id: u64,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let run = self.repository(repository)?.check_runs.get(&id).ok_or_else(Refusal::not_found)?;
        if run.status != "completed" {
            return Err(Refusal::new(422, "a check run is run again only once it is completed"));
        }
        self.emit_check("rerequested", repository, id, actor);
        Ok(())
    }

    fn emit_check(&mut self, action: &str, repository: &str, id: u64, actor: &Actor) {
        self.emit_check_with(action, repository, id, actor, json!({}));
    }

    fn emit_check_with(&mut self, action: &str, repository: &str, id: u64, actor: &Actor, more: Value) {
        let Ok(repo) = self.repository(repository) else { return };
        let Some(run) = repo.check_runs.get(&id) else { return };
        let suite = self.check_suite_json(repo, run);
        let shown = crate::render::merged(self.check_run_json(repo, run), json!({"check_suite": suite}));
        let about = crate::render::merged(more, json!({"check_run": shown}));
        self.emit("check_run", action, repository, actor, about);
    }
}

fn apply(run: &mut CheckRun, change: &CheckChange) -> Result<(), Refusal> {
    let take = |new: &Option<String>, old: &mut Option<String>| {
        if new.is_some() {
            old.clone_from(new);
        }
    };
    take(&change.external_id, &mut run.external_id);
    take(&change.details_url, &mut run.details_url);
    take(&change.conclusion, &mut run.conclusion);
    take(&change.started_at, &mut run.started_at);
    take(&change.completed_at, &mut run.completed_at);
    run.name = change.name.clone().unwrap_or_else(|| run.name.clone());
    run.status = change.status.clone().unwrap_or_else(|| run.status.clone());
    if !["queued", "in_progress", "completed"].contains(&run.status.as_str()) {
        return Err(Refusal::field("CheckRun", "status", "invalid"));
    }
    if change.conclusion.is_some() {
        run.status = "completed".to_owned();
    }
    if run.status == "completed" {
        check_conclusion(run)?;
        run.completed_at.get_or_insert_with(|| stamp(Utc::now()));
    }
    if let Some(actions) = &change.actions {
        if actions.len() > MOST_ACTIONS {
            return Err(Refusal::custom("CheckRun", "a check run takes at most 3 actions"));
        }
        for (field, most) in ACTION_FIELDS {
            let sound = |text: &str| (1..=most).contains(&text.chars().count());
            if !actions.iter().all(|action| action[field].as_str().is_some_and(sound)) {
                return Err(Refusal::custom(
                    "CheckRun",
                    format!("{field} of an action takes {most} characters"),
                ));
            }
        }
        run.actions.clone_from(actions);
    }
    change.output.as_ref().map_or(Ok(()), |output| apply_output(run, output))
}

fn check_conclusion(run: &CheckRun) -> Result<(), Refusal> {
    let known = ["success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"];
    match run.conclusion.as_deref() {
        Some(conclusion) if known.contains(&conclusion) => Ok(()),
        Some(_) => Err(Refusal::field("CheckRun", "conclusion", "invalid")),
        None => Err(Refusal::field("CheckRun", "conclusion", "missing_field")),
    }
}

fn apply_output(run: &mut CheckRun, output: &Value) -> Result<(), Refusal> {
    for field in ["title", "summary"] {
        if !output[field].is_string() {
            return Err(Refusal::field("CheckRun", &format!("output.{field}"), "missing_field"));
        }
    }
    for field in ["summary", "text"] {
        let length = output[field].as_str().map_or(0, |text| text.chars().count());
        if length > LONGEST_OUTPUT {
            let message = format!("Only {LONGEST_OUTPUT} characters are allowed; {length} were supplied.");
            return Err(Refusal::custom("CheckRun", message));
        }
    }
    if output["title"].as_str().is_some_and(|title| title.chars().count() > LONGEST_TITLE) {
        return Err(Refusal::field("CheckRun", "output.title", "too_long"));
    }
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > MOST_ANNOTATIONS {
        return Err(Refusal::custom("CheckRun", "Only 50 annotations are allowed in a request."));
    }
    run.annotations.extend(annotations);
    run.output = output.clone();
    Ok(())
}
