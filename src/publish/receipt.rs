//! The folded receipt in the body of a pull request.

use super::format::{Keep, block_within, chars, details};

/// Is said where a receipt is too long for the text that it belongs to.
const NO_ROOM: &str =
    "\nThe run's receipt finds no room here; on the server, `codex-brief receipt show` prints it.\n";

/// Returns a run's receipt, one line of JSON, as a folded block of at most `room` characters: whole or not at
/// all, since nobody can check a part of one.
pub(super) fn section(receipt: &str, room: usize) -> String {
    let whole = block_within(receipt, "json", room.saturating_sub(200), Keep::Head)
        .filter(|(_, shown)| *shown == receipt.len())
        .map(|(block, _)| details("Receipt, signed by the server; codex-brief verify checks it", &block));
    match whole {
        Some(section) => format!("\n{section}"),
        None if room > chars(NO_ROOM) => NO_ROOM.to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_shown_whole_or_not_at_all() {
        let receipt = format!("{{\"payload\":\"{}\"}}", "A".repeat(4_000));
        assert!(section(&receipt, 5_000).contains(&receipt));
        assert_eq!(section(&receipt, 4_000), NO_ROOM);
        assert_eq!(section(&receipt, 10), "");
    }
}
