//! What a run reached and was refused through its lane's network list.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::run::network::NetworkReport;
use crate::run::report::RunReport;

use super::format::{bytes, code_within};
use super::inert::truncate_middle;

/// Bounds the destinations that are listed as reached; those that were refused are bounded before.
const MAX_REACHED: usize = 10;

/// Returns a list of what was reached and refused; nothing where the lane has no list or nothing was tried.
pub(super) fn network_section(report: &RunReport) -> String {
    let Some(network) = report.network.as_ref().filter(|network| **network != NetworkReport::default())
    else {
        return String::new();
    };
    let mut out = String::from("**Network:**\n\n");
    for denied in &network.denied {
        let (times, why) = (counted(denied.times, "time"), denied.reason.words());
        let _ = writeln!(out, "- refused {}, {times}: {why}", place(&denied.host, denied.port));
    }
    if network.denied_more > 0 {
        let _ = writeln!(out, "- refused {} more, at other places", counted(network.denied_more, "attempt"));
    }
    for reached in network.allowed.iter().take(MAX_REACHED) {
        let _ = writeln!(
            out,
            "- reached {}, {}: {} out, {} in",
            place(&reached.host, reached.port),
            counted(reached.connections, "connection"),
            bytes(reached.bytes_out),
            bytes(reached.bytes_in)
        );
    }
    let rest = network.allowed.iter().skip(MAX_REACHED).map(|reached| reached.connections);
    let rest = rest.fold(network.allowed_more, u64::saturating_add);
    if rest > 0 {
        let _ = writeln!(out, "- reached other places by {}", counted(rest, "more connection"));
    }
    out.push('\n');
    out
}

/// Returns the same for programs; `most` bounds each list, `name` a host's characters.
pub(super) fn network_json(network: &NetworkReport, most: usize, name: usize) -> Value {
    let text = |host: &str| truncate_middle(host, name);
    let allowed: Vec<Value> = network
        .allowed
        .iter()
        .take(most.min(20))
        .map(|it| {
            json!({ "host": text(&it.host), "port": it.port, "connections": it.connections,
                    "bytes_out": it.bytes_out, "bytes_in": it.bytes_in })
        })
        .collect();
    let denied: Vec<Value> = network
        .denied
        .iter()
        .take(most)
        .map(|it| json!({ "host": text(&it.host), "port": it.port, "reason": it.reason, "times": it.times }))
        .collect();
    json!({
        "allowed": allowed,
        "allowed_total": network.allowed.len(),
        "allowed_more": network.allowed_more,
        "denied": denied,
        "denied_total": network.denied.len(),
        "denied_more": network.denied_more,
    })
}

fn place(host: &str, port: u16) -> String {
    code_within(&format!("{}:{port}", truncate_middle(host, 100)), 300)
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::super::comment::tests::success;
    use super::*;
    use crate::run::network::{DeniedReason, NetworkLog};

    #[test]
    fn what_finds_no_room_is_counted() {
        let log = NetworkLog::default();
        for number in 0..12 {
            log.reached(&format!("{number:02}.example.com"), 443);
        }
        for number in 0..22 {
            log.denied(&format!("{number:02}.evil.test"), 443, DeniedReason::Address);
        }
        let mut report = success();
        report.network = Some(log.report());
        let section = network_section(&report);
        assert_eq!(section.matches("- refused `").count(), 20);
        assert!(
            section
                .contains("- refused `19.evil.test:443`, 1 time: leads to an address that is not public\n")
        );
        assert!(section.contains("- refused 2 attempts more, at other places\n"), "{section}");
        assert!(
            section.contains("- reached `09.example.com:443`, 1 connection: 0 B out, 0 B in\n"),
            "{section}"
        );
        assert!(section.contains("- reached other places by 2 more connections\n"), "{section}");
        let json = network_json(&log.report(), 3, 4);
        assert_eq!((json["denied"].as_array().map(Vec::len), &json["denied_total"]), (Some(3), &json!(20)));
        report.network = Some(NetworkReport::default());
        assert_eq!(network_section(&report), "");
    }
}
