//! Redaction: known secrets and the shapes of tokens never reach a log, an event or a comment.
//!
//! Every byte that belongs to an occurrence of a secret is masked, and each unbroken stretch of
//! masked bytes becomes one `***`. A byte is let out as soon as no secret that is still to be
//! completed can cover it, so the result does not depend on how the text was cut into writes, and
//! text that cannot become a secret is never held back.

mod encodings;
mod finder;
mod shapes;
mod watch;
mod wraps;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aho_corasick::BuildError;
use tokio_util::sync::CancellationToken;

use finder::Finder;
use shapes::{Judgement, SHAPES, STARTS, Shapes};
pub use watch::{Watch, WatchStream};
use wraps::Unwrapped;

/// The shortest value that is masked, in bytes; masking shorter ones would eat ordinary text.
pub const SHORTEST_SECRET: usize = 6;

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// The secrets that are masked; cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    rules: Arc<Rules>,
}

struct Rules {
    /// Finds the patterns and behind them the beginnings of tokens, by their place in [`STARTS`].
    all: Finder,
    /// Holds every encoding of every secret, sorted, to find what the next write may complete.
    patterns: Vec<Vec<u8>>,
    /// Tells for each pattern whether it is that of a honeytoken.
    honey: Vec<bool>,
    longest: usize,
    /// Finds the beginnings of tokens alone.
    starts: Finder,
    seen: Seen,
}

/// What was seen of honeytokens in all streams of a redactor.
#[derive(Default)]
struct Seen {
    anywhere: CancellationToken,
    printed: AtomicBool,
}

/// Tells whether a secret is long enough to be masked.
pub fn is_maskable(secret: &str) -> bool {
    !encodings::pieces(secret.as_bytes()).is_empty()
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

impl Redactor {
    /// Makes a redactor of the given values, in every encoding that GitHub Actions masks, and of the
    /// shapes of tokens. Values (and, of values with several lines, lines) below [`SHORTEST_SECRET`]
    /// bytes are ignored.
    ///
    /// # Errors
    /// Fails when the values are too large together for the automaton (gigabytes).
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, BuildError> {
        Self::watching(secrets, [""; 0])
    }

    /// Makes a redactor that masks `honeytokens`, too, and whose [`Watch`] tells when one was seen.
    ///
    /// # Errors
    /// Fails as [`Self::new`] does.
    pub fn watching<S: AsRef<[u8]>, H: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
        honeytokens: impl IntoIterator<Item = H>,
    ) -> Result<Self, BuildError> {
        let mut all: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
        for secret in secrets {
            all.extend(encodings::patterns(secret.as_ref()).into_iter().map(|pattern| (pattern, false)));
        }
        for honeytoken in honeytokens {
            all.extend(encodings::patterns(honeytoken.as_ref()).into_iter().map(|pattern| (pattern, true)));
        }
        let (patterns, honey): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let starts = STARTS.map(|(start, _)| start.as_bytes());
        let every: Vec<&[u8]> = patterns.iter().map(Vec::as_slice).chain(starts).collect();
        let rules = Rules {
            all: Finder::new(&every)?,
            starts: Finder::new(&starts)?,
            longest: patterns.iter().map(Vec::len).max().unwrap_or(0),
            patterns,
            honey,
            seen: Seen::default(),
        };
        Ok(Self { rules: Arc::new(rules) })
    }

    /// Starts the redaction of one text that arrives in pieces.
    pub fn stream(&self) -> RedactStream {
        RedactStream {
            rules: Arc::clone(&self.rules),
            pending: Vec::new(),
            masked: 0,
            open: Shapes::default(),
            mask_open: false,
            before: Before::default(),
            honeytoken: false,
            shown: true,
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

    /// Returns what tells whether a honeytoken was seen.
    pub fn watch(&self) -> Watch {
        Watch::of(self.clone())
    }
}

/// One text under redaction; memory is bounded by the longest secret and the piece at hand.
#[derive(Debug)]
pub struct RedactStream {
    rules: Arc<Rules>,
    /// Holds what came and was not let out, because a secret may still cover it.
    pending: Vec<u8>,
    /// Counts the first bytes of `pending` that are known to be masked.
    masked: usize,
    /// Holds the shapes whose token runs to the end of `pending` and goes on with the next piece.
    open: Shapes,
    /// Tells whether the last byte that was let out was masked, so that its mask is written already.
    mask_open: bool,
    before: Before,
    /// Tells that a honeytoken stood in this text.
    honeytoken: bool,
    /// Tells that the text is shown somewhere, rather than only looked at.
    shown: bool,
}

/// What is remembered of the text before the pending bytes.
#[derive(Debug, Default)]
struct Before {
    last: Option<u8>,
    /// Counts the bytes at its end that an encoder could have written.
    encoded: usize,
}

/// What is masked of the pending bytes.
struct Found {
    /// Holds starts and ends, sorted.
    spans: Vec<(usize, usize)>,
    /// Counts the first bytes whose mask was known from earlier pieces.
    carried: usize,
    /// Holds start and shape of each token that reaches the end and may go on.
    open: Vec<(usize, usize)>,
    /// Holds from where on the rest must be awaited.
    hold: usize,
    honeytoken: bool,
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
        if hold > 0 {
            self.before.encoded = wraps::encoded_at_end(&self.pending[..hold], self.before.encoded);
            self.before.last = self.pending.get(hold - 1).copied();
        }
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
        if found.honeytoken {
            self.honeytoken = true;
            self.rules.seen.printed.fetch_or(self.shown, Ordering::AcqRel);
            self.rules.seen.anywhere.cancel();
        }
        let hold = found.hold;
        self.emit(&found.spans, hold, out);
        // Spans that begin behind `hold` are found again; the ones that reach over it are not.
        let reaching = found.spans.iter().filter(|(start, _)| *start < hold).map(|(_, end)| *end);
        self.masked = reaching.chain([found.carried]).max().unwrap_or(0);
        self.open = Shapes::default();
        for (start, shape) in found.open {
            if start < hold || start < found.carried {
                self.open.insert(shape);
            }
        }
        hold
    }

    /// Finds the masked stretches of `pending`, and what must be awaited.
    fn spans(&self) -> Found {
        let text = &self.pending;
        let mut found = Found {
            spans: Vec::new(),
            carried: self.masked,
            open: Vec::new(),
            hold: text.len(),
            honeytoken: false,
        };
        let mut judged = self.go_on(&mut found);
        if found.carried > 0 {
            found.spans.push((0, found.carried));
        }
        let unwrapped = Unwrapped::of(text, self.before.encoded);
        let known = self.rules.patterns.len();
        self.rules.all.each(unwrapped.bytes(), |pattern, start, end| {
            if pattern < known {
                found.spans.push((unwrapped.raw(start), unwrapped.raw(end - 1) + 1));
                found.honeytoken |= self.rules.honey[pattern];
            } else if unwrapped.is_whole() {
                self.begin(pattern - known, (start, end), &mut judged, &mut found);
            }
        });
        // A token does not go on behind a line break, so it is looked for where none was taken out.
        if !unwrapped.is_whole() {
            self.rules.starts.each(text, |pattern, start, end| {
                self.begin(pattern, (start, end), &mut judged, &mut found);
            });
        }
        if let Some(at) = self.rules.unfinished(unwrapped.bytes()) {
            found.hold = found.hold.min(unwrapped.raw(at));
        }
        found.hold = found.hold.min(self.rules.unfinished_start(text));
        found.spans.sort_unstable();
        found
    }

    /// Takes up the tokens that go on from the last piece; returns how far each shape is masked.
    fn go_on(&self, found: &mut Found) -> [usize; SHAPES.len()] {
        let text = &self.pending;
        let mut judged = [0; SHAPES.len()];
        for shape in self.open.iter() {
            let end = self.masked + SHAPES[shape].run(&text[self.masked..]);
            judged[shape] = end;
            found.carried = found.carried.max(end);
            if end == text.len() {
                found.open.push((0, shape));
            }
        }
        judged
    }

    /// Judges what begins as a token does.
    fn begin(
        &self,
        nth: usize,
        (start, end): (usize, usize),
        judged: &mut [usize; SHAPES.len()],
        found: &mut Found,
    ) {
        let (text, shape) = (&self.pending, STARTS[nth].1);
        if start < judged[shape] {
            return; // within a token that is masked as a whole
        }
        let last = start.checked_sub(1).map_or(self.before.last, |at| text.get(at).copied());
        let rest = &text[end..];
        match SHAPES[shape].judge(last, rest) {
            Judgement::No => {}
            Judgement::Undecided => found.hold = found.hold.min(start),
            Judgement::Yes(least) => {
                let end = end + least + SHAPES[shape].run(&rest[least..]);
                judged[shape] = end;
                found.spans.push((start, end));
                if end == text.len() {
                    found.open.push((start, shape));
                }
            }
        }
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
    /// Returns where the longest ending of `text` starts that the next piece could complete to a secret.
    fn unfinished(&self, text: &[u8]) -> Option<usize> {
        let from = text.len().saturating_sub(self.longest.saturating_sub(1));
        (from..text.len()).find(|&at| {
            let rest = &text[at..];
            // What begins with `rest` stands together, behind `rest` itself.
            let next = self.patterns.partition_point(|pattern| pattern.as_slice() <= rest);
            self.patterns.get(next).is_some_and(|pattern| pattern.starts_with(rest))
        })
    }

    /// Returns where the longest ending of `text` starts that could become the beginning of a token.
    fn unfinished_start(&self, text: &[u8]) -> usize {
        let from = text.len().saturating_sub(shapes::LONGEST_START - 1);
        let begins = |rest: &[u8]| STARTS.iter().any(|(start, _)| start.as_bytes().starts_with(rest));
        (from..text.len()).find(|&at| begins(&text[at..])).unwrap_or(text.len())
    }
}

#[cfg(test)]
mod tests;
