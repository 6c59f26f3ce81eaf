//! Labels of a repository and on a thread.

use super::Actor;
use crate::model::{Label, Labelling};
use crate::refusal::Refusal;
use crate::world::World;
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;

/// The colour of a label that is made by naming it on an issue.
const PLAIN: &str = "ededed";
/// GitHub's limit of labels on one issue.
const MOST_LABELS: usize = 100;

/// What shall change of a label; what is absent stays.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LabelChange {
    #[serde(alias = "new_name")]
    pub(crate) name: Option<String>,
    pub(crate) color: Option<String>,
    pub(crate) description: Option<String>,
}

impl World {
    pub(crate) fn make_label(&mut self, repository: &str, change: &LabelChange) -> Result<Label, Refusal> {
        let missing = || Refusal::field("Label", "name", "missing_field");
        let name = change.name.as_deref().filter(|name| !name.trim().is_empty()).ok_or_else(missing)?;
        if self.repository(repository)?.labels.contains_key(&name.to_lowercase()) {
            return Err(Refusal::field("Label", "name", "already_exists"));
        }
        let color = change.color.clone().unwrap_or_else(|| PLAIN.to_owned());
        check_color(&color)?;
        let label =
            Label { id: self.id(), name: name.to_owned(), color, description: change.description.clone() };
        self.repository_mut(repository)?.labels.insert(name.to_lowercase(), label.clone());
        Ok(label)
    }

    pub(crate) fn change_label(
        &mut self,
        repository: &str,
        name: &str,
        change: &LabelChange,
    ) -> Result<Label, Refusal> {
        if let Some(color) = &change.color {
            check_color(color)?;
        }
        let repo = self.repository_mut(repository)?;
        let mut label = repo.labels.remove(&name.to_lowercase()).ok_or_else(Refusal::not_found)?;
        let before = label.name.clone();
        label.name = change.name.clone().unwrap_or(label.name);
        label.color = change.color.clone().unwrap_or(label.color);
        label.description = change.description.clone().or(label.description);
        for on in repo.issues.values_mut().flat_map(|issue| issue.labels.iter_mut()) {
            if *on == before {
                on.clone_from(&label.name);
            }
        }
        repo.labels.insert(label.name.to_lowercase(), label.clone());
        Ok(label)
    }

    pub(crate) fn delete_label(&mut self, repository: &str, name: &str) -> Result<(), Refusal> {
        let repo = self.repository_mut(repository)?;
        let label = repo.labels.remove(&name.to_lowercase()).ok_or_else(Refusal::not_found)?;
        for issue in repo.issues.values_mut() {
            issue.labels.retain(|on| *on != label.name);
        }
        Ok(())
    }

    pub(crate) fn add_labels(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        names: &[String],
    ) -> Result<(), Refusal> {
        for name in names {
            let change = LabelChange { name: Some(name.clone()), color: None, description: None };
            let known = self.repository(repository)?.labels.get(&name.to_lowercase()).cloned();
            let label = match known {
                Some(label) => label,
                None => self.make_label(repository, &change)?,
            };
            let labels = &mut self.thread_mut(repository, number)?.labels;
            if labels.contains(&label.name) {
                continue;
            }
            if labels.len() >= MOST_LABELS {
                return Err(Refusal::custom("Issue", "an issue takes at most 100 labels"));
            }
            labels.push(label.name.clone());
            self.emit_label("labeled", repository, number, actor, &label.name);
        }
        Ok(())
    }

    pub(crate) fn remove_label(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        name: &str,
    ) -> Result<(), Refusal> {
        let labels = &mut self.thread_mut(repository, number)?.labels;
        let at = labels.iter().position(|on| on.eq_ignore_ascii_case(name));
        let at = at.ok_or_else(|| Refusal::new(404, "Label does not exist"))?;
        let name = labels.remove(at);
        self.emit_label("unlabeled", repository, number, actor, &name);
        Ok(())
    }

    pub(crate) fn set_labels(
        &mut self,
        repository: &str,
        number: u64,
        actor: &Actor,
        names: &[String],
    ) -> Result<(), Refusal> {
        for gone in self.labels(repository, number) {
            if !names.iter().any(|name| name.eq_ignore_ascii_case(&gone)) {
                self.remove_label(repository, number, actor, &gone)?;
            }
        }
        self.add_labels(repository, number, actor, names)
    }

    fn emit_label(&mut self, action: &str, repository: &str, number: u64, actor: &Actor, name: &str) {
        let Ok(repo) = self.repository(repository) else { return };
        let label = self.label_by_name(repo, name);
        let id = self.id();
        if let Ok(issue) = self.thread_mut(repository, number) {
            let (label, by, at) = (name.to_owned(), actor.login.clone(), Utc::now());
            issue.labellings.push(Labelling { id, put_on: action == "labeled", label, by, at });
        }
        self.emit_thread(action, repository, number, actor, json!({"label": label}));
    }
}

fn check_color(color: &str) -> Result<(), Refusal> {
    let fine = color.len() == 6 && color.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fine { Ok(()) } else { Err(Refusal::field("Label", "color", "invalid")) }
}
