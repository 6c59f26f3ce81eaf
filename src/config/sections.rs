//! What tells one configuration from another, section by section.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

/// Returns the SHA-256 of each section of a configuration's text, in hex, and of the variables that override it.
/// Each lane is a section of its own; comments and the order of keys do not count.
pub(super) fn digests(text: &str, variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    for (name, value) in toml::from_str::<Table>(text).unwrap_or_default() {
        match &value {
            Value::Array(parts) => {
                for (number, part) in parts.iter().enumerate() {
                    let own = part.get("name").and_then(Value::as_str).map(str::to_owned);
                    let own = own.unwrap_or_else(|| number.to_string());
                    digests.insert(format!("{name}.{own}"), digest(&sorted(part)));
                }
            }
            value => drop(digests.insert(name, digest(&sorted(value)))),
        }
    }
    if !variables.is_empty() {
        digests.insert("environment".to_owned(), digest(&format!("{variables:?}")));
    }
    digests
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Writes a value with the keys of its tables sorted.
fn sorted(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let keys: BTreeMap<&str, String> =
                table.iter().map(|(key, value)| (key.as_str(), sorted(value))).collect();
            format!("{keys:?}")
        }
        Value::Array(values) => format!("{:?}", values.iter().map(sorted).collect::<Vec<_>>()),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_another_digest_only_when_it_says_something_else() {
        let of = |text: &str| digests(text, &BTreeMap::new());
        let before = of("[queue]\na = 1\nb = 2\n[[lane]]\nname = \"x\"\n[[lane]]\nname = \"y\"\n");
        assert_eq!(before.keys().collect::<Vec<_>>(), ["lane.x", "lane.y", "queue"]);
        let moved = "[[lane]]\nname = \"y\"\n[[lane]]\nname = \"x\"\n[queue]\n# why\nb = 2\na = 1\n";
        assert_eq!(of(moved), before);
        let after =
            of("[queue]\na = 1\nb = 2\n[[lane]]\nname = \"x\"\nparallel = 2\n[[lane]]\nname = \"y\"\n");
        let differ: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
        assert_eq!(differ, ["lane.x"]);
        let variables = BTreeMap::from([("DISPATCH_RETRY_DELAY_MS".to_owned(), "5".to_owned())]);
        assert!(digests("", &variables).contains_key("environment"));
    }
}
