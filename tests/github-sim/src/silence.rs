//! When GitHub asked for silence, and who did not keep it.

use crate::log::RequestRecord;
use crate::model::Time;
use crate::world::World;
use axum::http::HeaderMap;
use chrono::{TimeDelta, Utc};

/// A request that was already on its way when the silence was told is no offence.
const ON_ITS_WAY: TimeDelta = TimeDelta::milliseconds(200);

/// What GitHub asks for when it limits without saying for how long.
const UNSAID: TimeDelta = TimeDelta::seconds(60);

/// One rate-limit answer: an installation (or the App itself) shall not call until a time.
#[derive(Clone, Debug)]
pub(crate) struct Silence {
    installation: Option<u64>,
    from: Time,
    until: Time,
}

impl World {
    /// Remembers the silence that an answer asks for, if it does; `limited` when it does without a header.
    pub(crate) fn note_silence(
        &mut self,
        installation: Option<u64>,
        (status, limited): (u16, bool),
        headers: &HeaderMap,
    ) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
        let used_up = number("x-ratelimit-remaining") == Some(0);
        let told = status == 429 || (status == 403 && (used_up || headers.contains_key("retry-after")));
        if !told && !limited {
            return;
        }
        let from = Utc::now();
        let reset = || number("x-ratelimit-reset").map(|at| TimeDelta::seconds(at - self.now().timestamp()));
        let asked = number("retry-after").map(TimeDelta::seconds);
        let length = asked.or_else(|| used_up.then(reset).flatten()).unwrap_or(UNSAID);
        self.silences.push(Silence { installation, from, until: from + length });
    }

    /// Lists the API requests that came before the end of a silence that was asked of their sender.
    pub fn early_calls(&self) -> Vec<RequestRecord> {
        let api = |request: &&RequestRecord| !request.path.contains(".git/");
        let early = |request: &RequestRecord| {
            self.silences.iter().any(|silence| {
                silence.installation == request.installation
                    && request.at > silence.from + ON_ITS_WAY
                    && request.at < silence.until
            })
        };
        self.requests.iter().filter(api).filter(|request| early(request)).cloned().collect()
    }

    /// Lists the requests by which an installation created content, answered or not.
    pub fn content_requests(&self, installation: u64) -> Vec<RequestRecord> {
        let mine = |request: &&RequestRecord| request.installation == Some(installation);
        self.requests.iter().filter(mine).filter(|request| request.is_content()).cloned().collect()
    }
}
