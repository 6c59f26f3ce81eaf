//! Pushes: which commits on which branches are the App's own.

use super::sqlite::{Store, StoreError, signed};

impl Store {
    /// Enters that a run is about to put a commit on a branch. Safe to repeat.
    pub async fn record_push(
        &self,
        repository_id: u64,
        branch: &str,
        commit: &str,
        run: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO pushes (repository_id, branch, commit_id, run_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(signed(repository_id))
        .bind(branch)
        .bind(commit)
        .bind(run)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    /// Returns the commits that a run was about to put on a branch; each try may have made another.
    pub async fn pushed_before(
        &self,
        repository_id: u64,
        branch: &str,
        run: &str,
    ) -> Result<Vec<String>, StoreError> {
        let commits = sqlx::query_scalar::<_, String>(
            "SELECT commit_id FROM pushes WHERE repository_id = ? AND branch = ? AND run_id = ?",
        )
        .bind(signed(repository_id))
        .bind(branch)
        .bind(run)
        .fetch_all(&self.reader)
        .await?;
        Ok(commits)
    }

    /// Tells whether a run is one of a task.
    pub async fn is_run_of(&self, run: &str, task: i64) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT 1 FROM runs WHERE id = ? AND task_id = ?").bind(run).bind(task);
        Ok(row.fetch_optional(&self.reader).await?.is_some())
    }

    /// Counts the runs of a task since it was queued by somebody's word.
    pub async fn runs_since_queued(&self, task: i64) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar::<_, i64>(
            "SELECT COUNT(*) FROM runs JOIN tasks ON tasks.id = runs.task_id
             WHERE task_id = ? AND runs.started_at >= tasks.queued_at",
        );
        Ok(count.bind(task).fetch_one(&self.reader).await?)
    }

    /// Returns the run that put a commit on a branch; `None` when it was none of this server's.
    pub async fn pushed_by(
        &self,
        repository_id: u64,
        branch: &str,
        commit: &str,
    ) -> Result<Option<String>, StoreError> {
        let run = sqlx::query_scalar::<_, String>(
            "SELECT run_id FROM pushes WHERE repository_id = ? AND branch = ? AND commit_id = ?",
        )
        .bind(signed(repository_id))
        .bind(branch)
        .bind(commit)
        .fetch_optional(&self.reader)
        .await?;
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_push_is_known_by_repository_branch_and_commit() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite")).await.unwrap();
        for run in ["r1", "r2"] {
            store.record_push(7, "codex-brief/a", "c1", run).await.unwrap();
        }
        assert_eq!(store.pushed_by(7, "codex-brief/a", "c1").await.unwrap().as_deref(), Some("r1"));
        for (repository, branch, commit) in
            [(8, "codex-brief/a", "c1"), (7, "codex-brief/b", "c1"), (7, "codex-brief/a", "c2")]
        {
            assert_eq!(store.pushed_by(repository, branch, commit).await.unwrap(), None);
        }
    }
}
