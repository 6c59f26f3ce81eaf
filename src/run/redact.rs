//! Redaction: known secrets and GitHub's token shapes never reach a log, an event or a comment.
//!
//! Every byte that belongs to an occurrence of a secret is masked, and each unbroken stretch of
//! masked bytes becomes one `***`. A byte is let out as soon as no secret that is still to be
//! completed can cover it, so the result does not depend on how the text was cut into writes, and
//! text that cannot become a secret is never held back.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};

/// The shortest value that is masked, in bytes; masking shorter ones would eat ordinary text.
pub const SHORTEST_SECRET: usize = 6;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// The beginnings of GitHub's tokens: personal, OAuth, user, server, refresh, fine-grained personal
/// (GitHub's documentation of token formats).
const TOKEN_STARTS: [&str; 6] = ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];

/// How many characters after the beginning make a token, in bytes.
const TOKEN_BODY: usize = 20;

/// The secrets that are masked; cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    rules: Arc<Rules>,
}

struct Rules {
    /// Finds the secrets; `None` when there are none.
    secrets: Option<AhoCorasick>,
    starts: AhoCorasick,
    /// Holds the secrets and the tokens' beginnings by their first byte, to find what may be
    /// completed by the next write.
    by_first: Vec<Vec<Vec<u8>>>,
    longest: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// Makes a redactor of the given values and of GitHub's token shapes. Values (and, of values
    /// with several lines, lines) below [`SHORTEST_SECRET`] bytes are ignored.
    ///
    /// # Errors
    /// Fails when the values are too large together for the automaton (gigabytes).
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, BuildError> {
        let mut patterns: BTreeSet<Vec<u8>> = BTreeSet::new();
        for secret in secrets {
            patterns.extend(pieces(secret.as_ref()));
        }
        let automaton = || {
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::Standard);
            builder
        };
        let found = if patterns.is_empty() { None } else { Some(automaton().build(patterns.iter())?) };
        let starts = automaton().build(TOKEN_STARTS)?;

        let mut by_first = vec![Vec::new(); 256];
        let mut longest = 0;
        for pattern in patterns.into_iter().chain(TOKEN_STARTS.map(|start| start.as_bytes().to_vec())) {
            longest = longest.max(pattern.len());
            if let Some(&first) = pattern.first() {
                by_first[usize::from(first)].push(pattern);
            }
        }
        Ok(Self { rules: Arc::new(Rules { secrets: found, starts, by_first, longest }) })
    }

    /// Starts the redaction of one text that arrives in pieces.
    pub fn stream(&self) -> RedactStream {
        RedactStream {
            rules: Arc::clone(&self.rules),
            pending: Vec::new(),
            masked: 0,
            token_open: false,
            mask_open: false,
        }
    }

    /// Returns the whole text with its secrets masked.
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut stream = self.stream();
        stream.push(text, &mut out);
        stream.finish(&mut out);
        out
    }
}

/// Returns what is looked for of one secret: its lines, because a program may print one alone or
/// indent them, or the whole where no line is long enough.
fn pieces(secret: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<Vec<u8>> = secret
        .split(|&byte| byte == b'\n' || byte == b'\r')
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.len() >= SHORTEST_SECRET)
        .map(<[u8]>::to_vec)
        .collect();
    let whole = secret.trim_ascii();
    if lines.is_empty() && whole.len() >= SHORTEST_SECRET { vec![whole.to_vec()] } else { lines }
}

/// One text under redaction; memory is bounded by the longest secret and the piece at hand.
#[derive(Debug)]
pub struct RedactStream {
    rules: Arc<Rules>,
    /// Holds what came and was not let out, because a secret may still cover it.
    pending: Vec<u8>,
    /// Counts the first bytes of `pending` that are known to be masked.
    masked: usize,
    /// Tells whether a token runs to the end of `pending` and goes on with the next piece.
    token_open: bool,
    /// Tells whether the last byte that was let out was masked, so that its mask is written already.
    mask_open: bool,
}

/// What is masked of the pending bytes.
struct Found {
    /// Holds starts and ends, sorted.
    spans: Vec<(usize, usize)>,
    /// Counts the first bytes whose mask was known from earlier pieces.
    carried: usize,
    /// Holds the start of a token that reaches the end and may go on.
    open_token: Option<usize>,
    /// Holds from where on a token's rest must be awaited.
    hold: usize,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules(…)")
    }
}

impl RedactStream {
    /// Takes the next piece and appends what may be shown by now to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.pending.extend_from_slice(piece);
        let hold = self.scan(out);
        self.pending.drain(..hold);
        self.masked = self.masked.saturating_sub(hold);
    }

    /// Ends the text and appends the rest to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let found = self.spans();
        let end = self.pending.len();
        self.emit(&found.spans, end, out);
    }

    /// Lets out what is decided, remembers what is masked of the rest, returns where the rest starts.
    fn scan(&mut self, out: &mut Vec<u8>) -> usize {
        let found = self.spans();
        let hold = found.hold.min(self.rules.unfinished(&self.pending));
        self.emit(&found.spans, hold, out);
        // Spans that begin behind `hold` are found again; the ones that reach over it are not.
        let reaching = found.spans.iter().filter(|(start, _)| *start < hold).map(|(_, end)| *end);
        self.masked = reaching.chain([found.carried]).max().unwrap_or(0);
        self.token_open = found.open_token.is_some_and(|start| start < hold || start < found.carried);
        hold
    }

    /// Finds the masked stretches of `pending`.
    fn spans(&self) -> Found {
        let text = &self.pending;
        let mut found = Found { spans: Vec::new(), carried: self.masked, open_token: None, hold: text.len() };
        let mut judged = 0;
        if self.token_open {
            found.carried += token_run(&text[self.masked..]);
            judged = found.carried;
            found.open_token = (judged == text.len()).then_some(0);
        }
        if found.carried > 0 {
            found.spans.push((0, found.carried));
        }
        if let Some(secrets) = &self.rules.secrets {
            found.spans.extend(secrets.find_overlapping_iter(text).map(|hit| (hit.start(), hit.end())));
        }
        for hit in self.rules.starts.find_overlapping_iter(text) {
            if hit.start() < judged {
                continue; // within a run that was judged as a whole
            }
            let run = token_run(&text[hit.end()..]);
            judged = hit.end() + run;
            let open = judged == text.len();
            if run >= TOKEN_BODY {
                found.spans.push((hit.start(), judged));
                found.open_token = open.then_some(hit.start());
            } else if open {
                found.hold = hit.start();
            }
        }
        found.spans.sort_unstable();
        found
    }

    fn emit(&mut self, spans: &[(usize, usize)], until: usize, out: &mut Vec<u8>) {
        let mut at = 0;
        for &(start, end) in spans {
            let (start, end) = (start.min(until), end.min(until));
            if start > at {
                out.extend_from_slice(&self.pending[at..start]);
                self.mask_open = false;
                at = start;
            }
            if end > at {
                if !self.mask_open {
                    out.extend_from_slice(MASK.as_bytes());
                    self.mask_open = true;
                }
                at = end;
            }
        }
        if until > at {
            out.extend_from_slice(&self.pending[at..until]);
            self.mask_open = false;
        }
    }
}

impl Rules {
    /// Returns where the longest ending of `text` starts that the next piece could complete to a
    /// secret or a token's beginning.
    fn unfinished(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(self.longest.saturating_sub(1));
        (from..text.len())
            .find(|&at| {
                let rest = &text[at..];
                self.by_first[usize::from(rest[0])]
                    .iter()
                    .any(|pattern| pattern.len() > rest.len() && pattern.starts_with(rest))
            })
            .unwrap_or(text.len())
    }
}

/// Counts the first bytes that can stand in a token.
fn token_run(text: &[u8]) -> usize {
    text.iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        Redactor::new(secrets).unwrap()
    }

    fn in_pieces(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut stream = redactor.stream();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(text.len());
        let mut at = 0;
        for cut in cuts {
            stream.push(&text[at..cut], &mut out);
            at = cut;
        }
        stream.finish(&mut out);
        out
    }

    #[test]
    fn a_secret_is_masked_wherever_the_writes_cut_it() {
        let redactor = redactor(&["canary-4711"]);
        let text = b"before canary-4711 after canary-471 end";
        for cut in 0..text.len() {
            let out = in_pieces(&redactor, text, &[cut]);
            assert_eq!(String::from_utf8(out).unwrap(), "before *** after canary-471 end", "cut at {cut}");
        }
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        let redactor = redactor(&["abcdef", "defghi"]);
        assert_eq!(redactor.redact(b"xabcdefghix"), b"x***x");
    }

    #[test]
    fn each_line_of_a_key_is_a_secret() {
        let redactor = redactor(&["-----BEGIN KEY-----\r\nMIIabcdef\nxyz\n"]);
        assert_eq!(redactor.redact(b"  MIIabcdef xyz"), b"  *** xyz");
    }

    #[test]
    fn short_values_are_ignored() {
        assert_eq!(redactor(&["abc", "a\nb"]).redact(b"abc a\nb"), b"abc a\nb");
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        let redactor = redactor(&[]);
        let long = format!("ghs_{}.{}-{}", "A".repeat(170), "b".repeat(170), "C".repeat(170));
        let text = format!("x={long}; ghp_short github_pat_{} ghx_{}", "9".repeat(30), "a".repeat(30));
        let expected = format!("x=***; ghp_short *** ghx_{}", "a".repeat(30));
        for cut in 0..text.len() {
            let out = in_pieces(&redactor, text.as_bytes(), &[cut, cut + 7]);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn only_what_may_become_a_secret_is_held_back() {
        let redactor = redactor(&["canary-4711"]);
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        stream.push(b"Password? ", &mut out);
        assert_eq!(out, b"Password? ");
        stream.push(b"It is can", &mut out);
        assert_eq!(out, b"Password? It is ");
        stream.push(b"ned", &mut out);
        assert_eq!(out, b"Password? It is canned");
    }

    #[test]
    fn many_beginnings_of_tokens_cost_no_square_time() {
        let text = "ghp_".repeat(250_000);
        let started = std::time::Instant::now();
        assert_eq!(redactor(&[]).redact(text.as_bytes()), b"***");
        assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
    }

    proptest! {
        // A small alphabet makes overlaps and false beginnings likely. `*` is left out: a secret
        // made of the mask itself could be put together by masking.
        #[test]
        fn no_split_shows_a_secret(
            secrets in proptest::collection::vec("[abgh_p\n]{6,14}", 1..5),
            parts in proptest::collection::vec("[abgh_p\n]{0,9}", 0..6),
            picks in proptest::collection::vec(0usize..5, 0..6),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let mut text = String::new();
            for (at, part) in parts.iter().enumerate() {
                text.push_str(part);
                if let Some(pick) = picks.get(at) {
                    text.push_str(&secrets[pick % secrets.len()]);
                }
            }
            let redactor = Redactor::new(&secrets).unwrap();
            let whole = redactor.redact(text.as_bytes());
            let split = in_pieces(&redactor, text.as_bytes(), &cuts);
            prop_assert_eq!(&whole, &split);
            let shown = String::from_utf8(split).unwrap();
            for secret in &secrets {
                for piece in pieces(secret.as_bytes()) {
                    let piece = String::from_utf8(piece).unwrap();
                    prop_assert!(!shown.contains(&piece), "{shown:?} shows {piece:?}");
                }
            }
        }

        #[test]
        fn tokens_are_masked_at_any_split(
            before in "[ a-z_]{0,12}",
            body in "[A-Za-z0-9_.-]{20,600}",
            after in "[ \n]{1}[a-z ]{0,12}",
            cuts in proptest::collection::vec(0usize..700, 0..12),
        ) {
            let text = format!("{before} ghs_{body}{after}");
            let out = in_pieces(&redactor(&[]), text.as_bytes(), &cuts);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{before} ***{after}"));
        }

        #[test]
        fn other_text_stays_as_it_is(
            text in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(0usize..400, 0..8),
        ) {
            let redactor = redactor(&["\u{1F511}-a-secret-that-chance-does-not-make"]);
            prop_assert_eq!(in_pieces(&redactor, &text, &cuts), text);
        }
    }
}
