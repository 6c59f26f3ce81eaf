//! Finds where patterns stand in a text, however they overlap.
//!
//! Nearly all text holds none, so the beginnings of all patterns are looked for many bytes at a time, and
//! only where one stands the patterns themselves are followed byte by byte.

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{AhoCorasick, Anchored, BuildError, MatchKind, packed};

/// How many bytes of a pattern are its beginning: of those more than four only lead to fewer false alarms.
const HEAD: usize = 6;

/// What finds a set of patterns.
pub(super) struct Finder {
    heads: Heads,
    patterns: NFA,
}

/// What finds the first beginning of any pattern.
enum Heads {
    /// Compares many bytes at a time; for some dozens of beginnings.
    Packed(packed::Searcher),
    /// Goes byte by byte; for any number.
    Automaton(AhoCorasick),
}

impl Finder {
    /// Makes a finder; patterns are known by their place.
    ///
    /// # Errors
    /// Fails when the patterns are too large together for an automaton (gigabytes).
    pub(super) fn new(patterns: &[&[u8]]) -> Result<Self, BuildError> {
        let mut heads: Vec<&[u8]> = patterns.iter().map(|all| &all[..all.len().min(HEAD)]).collect();
        heads.sort_unstable();
        heads.dedup();
        let mut builder = packed::Config::new().match_kind(packed::MatchKind::LeftmostFirst).builder();
        let heads = match builder.extend(&heads).build() {
            Some(searcher) => Heads::Packed(searcher),
            None => {
                Heads::Automaton(AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(&heads)?)
            }
        };
        Ok(Self { heads, patterns: NFA::new(patterns)? })
    }

    /// Calls `found` with pattern, start and end of each occurrence, by where they start.
    pub(super) fn each(&self, text: &[u8], mut found: impl FnMut(usize, usize, usize)) {
        let mut at = 0;
        while let Some(start) = self.next_head(text, at) {
            self.at(text, start, &mut found);
            at = start + 1;
        }
    }

    /// Returns how many bytes of memory it takes.
    #[cfg(test)]
    pub(super) fn memory_usage(&self) -> usize {
        let heads = match &self.heads {
            Heads::Packed(searcher) => searcher.memory_usage(),
            Heads::Automaton(automaton) => automaton.memory_usage(),
        };
        heads + self.patterns.memory_usage()
    }

    fn next_head(&self, text: &[u8], from: usize) -> Option<usize> {
        let span = from..text.len();
        match &self.heads {
            Heads::Packed(searcher) => searcher.find_in(text, span.into()).map(|head| head.start()),
            Heads::Automaton(automaton) => {
                automaton.find(aho_corasick::Input::new(text).span(span)).map(|head| head.start())
            }
        }
    }

    /// Finds the patterns that start at one place.
    fn at(&self, text: &[u8], start: usize, found: &mut impl FnMut(usize, usize, usize)) {
        let Ok(mut state) = self.patterns.start_state(Anchored::Yes) else { return };
        for (nth, &byte) in text[start..].iter().enumerate() {
            state = self.patterns.next_state(Anchored::Yes, state, byte);
            if !self.patterns.is_special(state) {
                continue;
            }
            if self.patterns.is_dead(state) {
                return;
            }
            if !self.patterns.is_match(state) {
                continue;
            }
            for index in 0..self.patterns.match_len(state) {
                // Others that end here start later, and are found there.
                let pattern = self.patterns.match_pattern(state, index);
                if self.patterns.pattern_len(pattern) == nth + 1 {
                    found(pattern.as_usize(), start, start + nth + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_occurrence_is_found_once(
            patterns in proptest::collection::btree_set("[ab]{3,9}", 1..90),
            text in "[abc]{0,200}",
        ) {
            let patterns: Vec<&[u8]> = patterns.iter().map(String::as_bytes).collect();
            let mut found = Vec::new();
            Finder::new(&patterns).unwrap().each(text.as_bytes(), |pattern, start, end| found.push((start, end, pattern)));
            let mut expected = Vec::new();
            for start in 0..text.len() {
                for (nth, pattern) in patterns.iter().enumerate() {
                    if text.as_bytes()[start..].starts_with(pattern) {
                        expected.push((start, start + pattern.len(), nth));
                    }
                }
            }
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
