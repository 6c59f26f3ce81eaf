//! Webhooks: what is owed, how it is signed, and the one worker that sends it in order.

use crate::act::Actor;
use crate::core::Shared;
use crate::log::Delivery;
use crate::refusal::Refusal;
use crate::render::merged;
use crate::world::World;
use chrono::Utc;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// GitHub gives a receiver this long to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// As much of a receiver's answer is kept in the log.
const ANSWER_KEPT: usize = 64 * 1024;

impl World {
    /// Owes a delivery about something in a repository; nothing where the App is not installed.
    pub(crate) fn emit(&mut self, event: &str, action: &str, repository: &str, actor: &Actor, about: Value) {
        let Ok(repo) = self.repository(repository) else { return };
        if !repo.installed || self.check_installation().is_err() {
            return;
        }
        let frame = json!({
            "action": action,
            "repository": self.repository_json(repo),
            "sender": self.user_json(&actor.login),
            "installation": {"id": self.app.installation_id, "node_id": "simulated"},
        });
        let id = repo.id;
        self.owe(event, Some(action), Some(id), merged(frame, about));
    }

    /// Owes the `ping` that GitHub sends when a webhook is set up.
    pub(crate) fn emit_ping(&mut self) {
        let app = &self.app;
        let hook = json!({
            "type": "App", "id": app.hook_id, "name": "web", "active": true, "events": app.events,
            "app_id": app.id,
            "config": {
                "content_type": "json", "insecure_ssl": "0", "secret": "********",
                "url": app.webhook_url.clone().unwrap_or_else(|| "http://127.0.0.1/".to_owned()),
            },
            "created_at": crate::model::stamp(app.created_at),
            "updated_at": crate::model::stamp(app.created_at),
            "deliveries_url": format!("{}/app/hook/deliveries", self.base),
        });
        let ping = json!({"zen": "Keep it logically awesome.", "hook_id": app.hook_id, "hook": hook});
        self.owe("ping", None, None, ping);
    }

    pub(crate) fn owe(&mut self, event: &str, action: Option<&str>, repository: Option<u64>, payload: Value) {
        if !self.app.hook_active {
            return;
        }
        let body = payload.to_string().into_bytes();
        let guid = uuid::Uuid::now_v7().to_string();
        self.put_on_the_way(event, action, repository, guid, body, false);
    }

    pub(crate) fn put_on_the_way(
        &mut self,
        event: &str,
        action: Option<&str>,
        repository_id: Option<u64>,
        guid: String,
        body: Vec<u8>,
        redelivery: bool,
    ) -> u64 {
        let id = self.id();
        self.deliveries.push(Delivery {
            id,
            guid,
            event: event.to_owned(),
            action: action.map(str::to_owned),
            repository_id,
            redelivery,
            delivered_at: Utc::now(),
            body,
            request_headers: BTreeMap::new(),
            status: "pending".to_owned(),
            status_code: None,
            response_headers: BTreeMap::new(),
            response_body: String::new(),
            duration: 0.0,
        });
        // The receiver is gone only when the simulator is stopping; nothing is owed then.
        self.outbox.send(id).ok();
        id
    }

    /// Owes a delivery once more, with its GUID and its bytes.
    pub(crate) fn redeliver(&mut self, pick: impl Fn(&Delivery) -> bool) -> Result<u64, Refusal> {
        let found = self.deliveries.iter().rev().find(|delivery| pick(delivery)).cloned();
        let found = found.ok_or_else(Refusal::not_found)?;
        let action = found.action.as_deref();
        Ok(self.put_on_the_way(&found.event, action, found.repository_id, found.guid, found.body, true))
    }
}

/// Computes the value of `X-Hub-Signature-256`.
pub(crate) fn signature_sha256(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes());
    format!(
        "sha256={}",
        mac.map(|mac| hex::encode(mac.chain_update(body).finalize().into_bytes())).unwrap_or_default()
    )
}

/// Computes the value of the older `X-Hub-Signature`.
pub(crate) fn signature_sha1(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes());
    format!(
        "sha1={}",
        mac.map(|mac| hex::encode(mac.chain_update(body).finalize().into_bytes())).unwrap_or_default()
    )
}

/// Sends what is owed, one after the other, until the simulator stops.
pub(crate) async fn deliver_in_order(core: Shared, mut owed: mpsc::UnboundedReceiver<u64>) {
    let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap_or_default();
    while let Some(id) = owed.recv().await {
        let Some((url, headers, body)) = order(&core, id) else { continue };
        let begun = Instant::now();
        let outcome = match &url {
            Some(url) => send(&client, url, &headers, body).await,
            None => Err("no webhook URL is set".to_owned()),
        };
        let mut world = core.write();
        let Some(delivery) = world.deliveries.iter_mut().find(|delivery| delivery.id == id) else { continue };
        delivery.duration = begun.elapsed().as_secs_f64();
        delivery.request_headers = headers;
        match outcome {
            Ok(answer) => {
                delivery.status = answer.reason;
                delivery.status_code = Some(answer.status);
                delivery.response_headers = answer.headers;
                delivery.response_body = answer.body;
            }
            Err(why) => {
                delivery.status = why;
                delivery.status_code = Some(0);
            }
        }
    }
}

type Order = (Option<String>, BTreeMap<String, String>, Vec<u8>);

fn order(core: &Shared, id: u64) -> Option<Order> {
    let world = core.read();
    let delivery = world.deliveries.iter().find(|delivery| delivery.id == id)?;
    let secret = &world.app.webhook_secret;
    let headers = [
        ("accept", "*/*".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("user-agent", "GitHub-Hookshot/simulated".to_owned()),
        ("x-github-event", delivery.event.clone()),
        ("x-github-delivery", delivery.guid.clone()),
        ("x-github-hook-id", world.app.hook_id.to_string()),
        ("x-github-hook-installation-target-id", world.app.id.to_string()),
        ("x-github-hook-installation-target-type", "integration".to_owned()),
        ("x-hub-signature", signature_sha1(secret, &delivery.body)),
        ("x-hub-signature-256", signature_sha256(secret, &delivery.body)),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Some((world.app.webhook_url.clone(), headers, delivery.body.clone()))
}

struct Answer {
    status: u16,
    reason: String,
    headers: BTreeMap<String, String>,
    body: String,
}

async fn send(
    client: &reqwest::Client,
    url: &str,
    headers: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Result<Answer, String> {
    let mut request = client.post(url).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send().await.map_err(|error| match error.is_timeout() {
        true => "timed out".to_owned(),
        false => "failed to connect to host".to_owned(),
    })?;
    let status = response.status();
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = response.bytes().await.unwrap_or_default();
    Ok(Answer {
        status: status.as_u16(),
        reason: status.canonical_reason().unwrap_or("unknown").to_owned(),
        headers,
        body: String::from_utf8_lossy(&body[..body.len().min(ANSWER_KEPT)]).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_githubs_published_example() {
        let signed = signature_sha256("It's a Secret to Everybody", b"Hello, World!");
        assert_eq!(signed, "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    }
}
