//! Finds the receipt in a text: the envelope itself, or a page such as a pull request's that holds one.

use std::fmt;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::envelope::{PAYLOAD_TYPE, Receipt};
use crate::brief::extract::normalize;

/// Bounds a text in which a receipt is looked for, in bytes; a pull request's body has 65,536 characters.
pub const MAX_TEXT: usize = 1 << 20;

/// Why a text holds no receipt that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is longer than [`MAX_TEXT`].
    TooLarge,
    /// There is none in it.
    None,
    /// There are several in it, so many.
    Several(usize),
    /// There is one, and it is wrong; holds why.
    Wrong(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "it has more than {MAX_TEXT} bytes"),
            Self::None => f.write_str("there is no receipt in it"),
            Self::Several(count) => write!(f, "there are {count} receipts in it"),
            Self::Wrong(why) => write!(f, "its receipt is none of this version: {why}"),
        }
    }
}

/// Finds the one receipt in a text; takes time in proportion to its length.
pub fn find(text: &str) -> Result<Receipt, Unreadable> {
    if text.len() > MAX_TEXT {
        return Err(Unreadable::TooLarge);
    }
    let text = normalize(text);
    if text.trim_start().starts_with('{') {
        return Receipt::read(&text).map_err(Unreadable::Wrong);
    }
    let blocks = blocks(&text);
    match &blocks[..] {
        [] => Err(Unreadable::None),
        [one] => Receipt::read(one).map_err(Unreadable::Wrong),
        several => Err(Unreadable::Several(several.len())),
    }
}

/// Returns the fenced JSON blocks that name the type of a receipt.
fn blocks(markdown: &str) -> Vec<String> {
    let (mut found, mut inside) = (Vec::new(), None::<String>);
    for event in Parser::new(markdown) {
        match (event, &mut inside) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))), _) => {
                inside = (&*info == "json").then(String::new);
            }
            (Event::Text(text), Some(block)) => block.push_str(&text),
            (Event::End(TagEnd::CodeBlock), _) => found.extend(inside.take()),
            _ => {}
        }
    }
    found.retain(|block| block.contains(PAYLOAD_TYPE));
    found
}

#[cfg(test)]
mod tests {
    use super::super::envelope::seal;
    use super::super::envelope::tests::{key, statement};
    use super::*;

    #[test]
    fn a_receipt_is_found_alone_and_in_a_page_and_never_two_of_them() {
        let receipt = seal(&statement(), &key()).unwrap();
        let json = receipt.json();
        let page = format!("Text\r\n\r\n<details>\r\n\r\n```json\r\n{json}\r\n```\r\n\r\n</details>\r\n");
        assert_eq!(find(&json).as_ref(), Ok(&receipt));
        assert_eq!(find(&format!("\u{feff}\n{json}\n")).as_ref(), Ok(&receipt));
        assert_eq!(find(&page).as_ref(), Ok(&receipt));
        assert_eq!(find(&page.repeat(2)), Err(Unreadable::Several(2)));
        assert_eq!(find("```json\n{\"a\": 1}\n```\n"), Err(Unreadable::None));
        // What a brief's text shows is no receipt of the page.
        assert_eq!(find(&format!("````yaml\n```json\n{json}\n```\n````\n")), Err(Unreadable::None));
        assert_eq!(find(&"x".repeat(MAX_TEXT + 1)), Err(Unreadable::TooLarge));
        assert!(matches!(find("{}"), Err(Unreadable::Wrong(_))));
    }
}
