//! The JSON that GitHub would give of what is remembered; a file for each kind of thing.

mod account;
mod check;
mod commit;
mod delivery;
mod issue;
mod pull;
mod repository;

pub(crate) use issue::percent;

use serde_json::{Map, Value};

/// Lists the contents that a reaction may have.
pub(crate) fn reaction_contents() -> [&'static str; 8] {
    issue::REACTIONS
}

/// Gives a stand-in for GitHub's opaque global id.
pub(crate) fn node_id(kind: &str, id: u64) -> String {
    use base64::Engine as _;
    let raw = format!("{kind}:{id}");
    format!("{}_{}", kind, base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(raw))
}

/// Puts the fields of one object over those of another.
pub(crate) fn merged(mut under: Value, over: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (under.as_object_mut(), over) {
        fields.extend(more);
    }
    under
}

/// Makes an object of address fields from lines such as `keys_url /keys{/key_id}`.
pub(crate) fn addresses(prefix: &str, lines: &str) -> Value {
    let pairs = lines.lines().map(|line| line.trim().split_once(' ').unwrap_or((line.trim(), "")));
    let fields: Map<String, Value> =
        pairs.map(|(name, tail)| (name.to_owned(), Value::String(format!("{prefix}{tail}")))).collect();
    Value::Object(fields)
}
