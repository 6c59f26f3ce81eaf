//! Line breaks that encoders put into base64 and hex: they count for nothing when secrets are looked for.

use std::borrow::Cow;

/// How many bytes of base64 or hex before a line break make it an encoder's, as encoders wrap at 60
/// (`xxd`), 64 (PEM, `openssl`) or 76 (MIME, `base64`). Breaks of other lines are never waited over.
const LINE: usize = 40;

/// A text without the line breaks of encoders.
pub(super) struct Unwrapped<'a> {
    bytes: Cow<'a, [u8]>,
    /// Holds for each break that was taken out where it would stand in `bytes`, sorted.
    breaks: Vec<usize>,
}

impl<'a> Unwrapped<'a> {
    /// Takes the breaks out; `encoded` counts the encoder's bytes directly before `text`.
    pub(super) fn of(text: &'a [u8], encoded: usize) -> Self {
        let mut raw: Vec<usize> = Vec::new();
        // Where the line begins that is looked at, and what of it stands before `text`.
        let (mut line, mut before) = (0, encoded);
        loop {
            let long = text.len().min(line + LINE.saturating_sub(before));
            // Lines that end before they are long need no look of their own.
            if let Some(short) = memchr::memrchr2(b'\n', b'\r', &text[line..long]) {
                (line, before) = (line + short + 1, 0);
                continue;
            }
            let Some(more) = memchr::memchr2(b'\n', b'\r', &text[long..]) else { break };
            let at = long + more;
            let is_wrapped = encoded_at_end(&text[line..at], before) >= LINE;
            let is_pair = is_wrapped && text[at..].starts_with(b"\r\n");
            raw.extend(is_wrapped.then_some(at));
            raw.extend(is_pair.then_some(at + 1));
            (line, before) = (at + 1 + usize::from(is_pair), 0);
        }
        if raw.is_empty() {
            return Self { bytes: Cow::Borrowed(text), breaks: raw };
        }
        let mut bytes = Vec::with_capacity(text.len() - raw.len());
        let mut from = 0;
        for at in &raw {
            bytes.extend_from_slice(&text[from..*at]);
            from = at + 1;
        }
        bytes.extend_from_slice(&text[from..]);
        let breaks = raw.into_iter().enumerate().map(|(nth, at)| at - nth).collect();
        Self { bytes: Cow::Owned(bytes), breaks }
    }

    /// Tells whether nothing was taken out.
    pub(super) fn is_whole(&self) -> bool {
        self.breaks.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns where a byte of the unwrapped text stands in the text.
    pub(super) fn raw(&self, at: usize) -> usize {
        at + self.breaks.partition_point(|stands| *stands <= at)
    }
}

/// Counts the bytes at the end of `text` that an encoder could have written, up to what makes a line;
/// `before` counts those directly before it.
pub(super) fn encoded_at_end(text: &[u8], before: usize) -> usize {
    let is_encoded = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    let run = text.iter().rev().take(LINE).take_while(is_encoded).count();
    if run == text.len() { (run + before).min(LINE) } else { run }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_breaks_of_encoded_lines_are_taken_out() {
        let line = "QUJD".repeat(10);
        let text = format!("an ordinary line\n{line}\r\n{line}\n{line} x\nend");
        let unwrapped = Unwrapped::of(text.as_bytes(), 0);
        assert_eq!(
            String::from_utf8_lossy(unwrapped.bytes()),
            format!("an ordinary line\n{line}{line}{line} x\nend")
        );
        for at in 0..unwrapped.bytes().len() {
            assert_eq!(text.as_bytes()[unwrapped.raw(at)], unwrapped.bytes()[at], "{at}");
        }
        assert_eq!(Unwrapped::of(b"QUJD\nQUJD", 36).bytes(), b"QUJDQUJD");
        assert_eq!(Unwrapped::of(b"QUJD\nQUJD", 35).bytes(), b"QUJD\nQUJD");
    }
}
