//! Check runs.

use super::node_id;
use crate::model::{CheckRun, Repository};
use crate::world::World;
use serde_json::{Value, json};

impl World {
    pub(crate) fn check_run_json(&self, repo: &Repository, run: &CheckRun) -> Value {
        let url = format!("{}/check-runs/{}", self.api(repo), run.id);
        let pulls = repo.pulls.values().filter(|pull| pull.head_sha == run.head_sha);
        let pulls: Vec<Value> = pulls.map(|pull| self.pull_minimal_json(repo, pull)).collect();
        json!({
            "id": run.id,
            "node_id": node_id("CR", run.id),
            "head_sha": run.head_sha,
            "name": run.name,
            "external_id": run.external_id.clone().unwrap_or_default(),
            "url": url,
            "html_url": format!("{}/runs/{}", self.page(repo), run.id),
            // GitHub falls back to the App's home page.
            "details_url": run.details_url.as_deref().unwrap_or("https://example.com"),
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": run.started_at,
            "completed_at": run.completed_at,
            "output": {
                "title": run.output["title"],
                "summary": run.output["summary"],
                "text": run.output["text"],
                "annotations_count": run.annotations.len(),
                "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": {"id": run.id},
            "app": self.app_json(),
            "pull_requests": pulls,
        })
    }

    /// Gives the suite that a check run's webhook shows around it.
    pub(crate) fn check_suite_json(&self, repo: &Repository, run: &CheckRun) -> Value {
        let head = repo.pulls.values().find(|pull| pull.head_sha == run.head_sha);
        json!({
            "id": run.id,
            "node_id": node_id("CS", run.id),
            "head_branch": head.map(|pull| pull.head.clone()),
            "head_sha": run.head_sha,
            "status": run.status,
            "conclusion": run.conclusion,
            "url": format!("{}/check-suites/{}", self.api(repo), run.id),
            "before": null,
            "after": null,
            "pull_requests": [],
            "app": self.app_json(),
            "created_at": run.started_at,
            "updated_at": run.started_at,
        })
    }
}
