//! The policy as a delivery meets it: what it lets run, what of it is told, and what is left of a budget.

use chrono::Utc;
use sha2::{Digest, Sha256};

use super::Server;
use super::access::{self, Scene, Text};
use super::intake::{LookError, comment_effect};
use crate::authorize::policy::{Account, Decision, budget_spent};
use crate::brief::RepoName;
use crate::config::{Budget, LaneConfig};
use crate::error::UserError;
use crate::github::GitHubError;
use crate::github::installation::Place;
use crate::publish::notice;
use crate::store::models::{BriefRow, Effect};
use crate::store::{DAY_MS, Intake, Spent, StoreError};
use crate::webhook::event::TextEvent;

/// Judges the briefs of one text by what GitHub says now.
pub(super) struct Judge<'a> {
    server: &'a Server,
    repository: RepoName,
    scene: Scene,
}

impl<'a> Judge<'a> {
    /// Looks up what a policy decides by; `accounts` are those behind the text.
    pub(super) async fn look(
        server: &'a Server,
        event: &TextEvent,
        place: Place<'_>,
        accounts: Vec<Account>,
    ) -> Result<Self, GitHubError> {
        let text =
            Text { repository_id: event.home.id, kind: event.source.kind, thread: event.thread.number };
        let at = access::source(&server.github, place, text).await?;
        let scene = access::look(&server.github, &server.config, place, event.home.id, at, accounts).await?;
        let repository = access::repository_name(place.repository).unwrap_or_else(|| event.home.name.clone());
        Ok(Self { server, repository, scene })
    }

    /// Tells whether the people may, on some lane at least where a bot is one of them.
    pub(super) fn people(&self) -> Result<(), (UserError, String)> {
        let policy = self.scene.policy(&self.server.config, &self.repository, None);
        match policy.people(&self.scene.facts) {
            Err((error, _)) if error.code == "bot-not-named" && self.is_named_for_a_lane() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn is_named_for_a_lane(&self) -> bool {
        let config = &self.server.config;
        let policy = |lane| self.scene.policy(config, &self.repository, Some(lane));
        config.lanes.iter().any(|lane| policy(lane).people(&self.scene.facts).is_ok())
    }

    /// Tells whether briefs may run from where the text stands, whatever their lane.
    pub(super) fn place(&self) -> Result<(), (UserError, String)> {
        let policy = self.scene.policy(&self.server.config, &self.repository, None);
        match policy.place(&self.scene.facts) {
            // Forks may be let in for a lane alone, so that each brief is told of its own.
            Err((error, _)) if error.code == "fork-not-allowed" => Ok(()),
            other => other,
        }
    }

    /// Decides about a brief on its lane, and adds its budget to what is written about the delivery.
    pub(super) async fn brief(
        &self,
        event: &TextEvent,
        row: &BriefRow,
        lane: &LaneConfig,
        intake: &mut Intake,
    ) -> Result<Result<Decision, UserError>, LookError> {
        let policy = self.scene.policy(&self.server.config, &self.repository, Some(lane));
        let decision = policy.decide(&self.scene.facts);
        let refused = match &decision.verdict {
            Err(error) => Some(error.clone()),
            Ok(()) => self.spent(event, row, decision.bounds.budget, intake).await?,
        };
        let (code, version) = (refused.as_ref().map(|error| error.code), &decision.policy_version);
        tracing::info!(
            brief = row.id.short(),
            lane = lane.name,
            code,
            rule = decision.rule,
            policy = version,
            "decided"
        );
        let home = (event.home.id, &*self.repository.to_string());
        let ruling = access::ruling(home, lane, &decision);
        intake.rulings.insert(lane.name.clone(), ruling);
        if let Some(error) = refused {
            return Ok(Err(error));
        }
        Ok(Ok(decision))
    }
}

impl Judge<'_> {
    /// Tells why a brief is one too many for today, if it is.
    async fn spent(
        &self,
        event: &TextEvent,
        row: &BriefRow,
        budget: Budget,
        intake: &Intake,
    ) -> Result<Option<UserError>, StoreError> {
        if budget.user_per_day.is_none() && budget.repository_per_day.is_none() {
            return Ok(None);
        }
        let store = &self.server.store;
        // What the ledger has is not queued once more.
        if store.known_digests(event.source).await?.contains(&row.text_digest) {
            return Ok(None);
        }
        let before = u32::try_from(intake.accepted.len()).unwrap_or(u32::MAX);
        let user = store.spent_by_user(row.requested_by_id).await?;
        let repository = store.spent_in_repository(row.source.repository_id).await?;
        let user_name = format!("`{}`", row.requested_by);
        let repository_name = format!("The repository `{}`", self.repository);
        let bounds = [
            (budget.user_per_day, user, user_name),
            (budget.repository_per_day, repository, repository_name),
        ];
        let over = |most: u32, spent: Spent| spent.briefs.saturating_add(before) >= most;
        let spent = bounds.into_iter().find_map(|(most, spent, whose)| {
            let most = most.filter(|most| over(*most, spent))?;
            let now = Utc::now().timestamp_millis();
            let oldest = if spent.briefs == 0 { now } else { spent.oldest_ms };
            Some(budget_spent(&whose, most, oldest + DAY_MS - now))
        });
        Ok(spent)
    }

    /// Owes the news of what the repository's file asks for and does not get, once for a thread and a file.
    pub(super) async fn widened(&self, event: &TextEvent) -> Result<Vec<Effect>, StoreError> {
        let server = self.server;
        let mut asked: Vec<String> = Vec::new();
        for lane in &server.config.lanes {
            asked.extend(self.scene.policy(&server.config, &self.repository, Some(lane)).widened);
        }
        asked.sort();
        asked.dedup();
        if asked.is_empty() {
            return Ok(vec![]);
        }
        tracing::warn!(repository = %self.repository, ?asked, "a repository's policy asks for more than it may");
        let digest = hex::encode(Sha256::digest(asked.join("\n")));
        let key = format!("widened:{}:{}:{}", event.home.id, event.thread.number, &digest[..12]);
        if server.store.effect_known(&key).await? {
            return Ok(vec![]);
        }
        let text = notice::widened_comment(&asked, &key);
        Ok(vec![comment_effect(event, key, text)])
    }
}
