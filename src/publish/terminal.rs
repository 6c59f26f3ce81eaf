//! What a terminal and a log are shown of strangers' text: as it reads, and nothing that acts.

use std::io::{self, Write};

use super::inert::{is_hidden, visible};

/// Returns text of several lines for a terminal, see [`visible`].
pub fn text(text: &str) -> String {
    visible(text)
}

/// Returns text on one line for a terminal, so that it cannot pass for a line of ours.
pub fn line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns JSON that means the same and holds no character that a terminal acts on or hides: such
/// stand as `\u202e`. In JSON they can only be within strings.
pub fn json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes each piece that comes as one line: line feeds within it, and all that a terminal acts on,
/// stand escaped. A log's record comes in one piece, so that no text in it can pass for a record.
#[derive(Debug)]
pub struct Records<W>(pub W);

impl<W: Write> Write for Records<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        let shown = visible(text).replace('\n', "\\n");
        self.0.write_all(format!("{shown}{end}").as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::inert::tests::hostile;
    use super::*;

    fn acts_on_nothing(shown: &str) -> bool {
        !shown.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'))
            && !shown.contains(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    }

    proptest! {
        #[test]
        fn a_terminal_shows_what_was_printed_and_obeys_none_of_it(stranger in hostile(), more in any::<String>()) {
            let stranger = stranger + &more;
            prop_assert!(acts_on_nothing(&text(&stranger)));
            let shown = line(&stranger);
            prop_assert!(acts_on_nothing(&shown) && !shown.contains(['\n', '\t']), "{shown:?}");
        }

        #[test]
        fn json_means_the_same_and_acts_on_no_terminal(stranger in hostile(), more in any::<String>()) {
            let value = serde_json::json!({ (more): stranger });
            let shown = json(&serde_json::to_string_pretty(&value).unwrap());
            prop_assert!(acts_on_nothing(&shown), "{shown:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }

        #[test]
        fn a_record_of_the_log_is_one_line_whatever_stands_in_it(stranger in hostile(), more in any::<String>()) {
            let mut written = Vec::new();
            let record = format!("INFO step begins name=\"{stranger}{more}\"\n");
            Records(&mut written).write_all(record.as_bytes()).unwrap();
            let shown = String::from_utf8(written).unwrap();
            prop_assert!(acts_on_nothing(&shown) && shown.matches('\n').count() == 1, "{shown:?}");
        }
    }
}
