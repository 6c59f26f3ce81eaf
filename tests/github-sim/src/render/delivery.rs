//! The delivery log, as the App may read it.

use super::merged;
use crate::log::Delivery;
use crate::model::stamp;
use crate::world::World;
use serde_json::{Value, json};

impl World {
    pub(crate) fn delivery_item_json(&self, delivery: &Delivery) -> Value {
        json!({
            "id": delivery.id,
            "guid": delivery.guid,
            "delivered_at": stamp(delivery.delivered_at),
            "redelivery": delivery.redelivery,
            "duration": delivery.duration,
            "status": delivery.status,
            "status_code": delivery.status_code.unwrap_or(0),
            "event": delivery.event,
            "action": delivery.action,
            "installation_id": self.app.installation_id,
            "repository_id": delivery.repository_id,
            "throttled_at": null,
        })
    }

    pub(crate) fn delivery_json(&self, delivery: &Delivery) -> Value {
        let more = json!({
            "url": self.app.webhook_url,
            "request": {"headers": delivery.request_headers, "payload": delivery.payload()},
            "response": {"headers": delivery.response_headers, "payload": delivery.response_body},
        });
        merged(self.delivery_item_json(delivery), more)
    }
}
