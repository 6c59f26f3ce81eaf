//! What GitHub takes at most, as types: a text that was made is one that GitHub takes.

use serde::Serialize;

use super::checks::{Action, Annotation};

/// A text of at most so many characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Bounded<const MOST: usize>(String);

/// The body of a comment; GitHub takes 65,536 characters.
pub type CommentBody = Bounded<65_536>;
/// The summary, or the text, of a check run; GitHub takes 65,535 characters.
pub type CheckText = Bounded<65_535>;
/// The title of a check run or of an annotation; GitHub takes 255 characters.
pub type Title = Bounded<255>;
/// What an annotation says, well below GitHub's 64 KB.
pub type AnnotationMessage = Bounded<4_000>;
/// What stands on a button, or names it; GitHub takes 20 characters.
pub type ButtonWord = Bounded<20>;
/// What is shown beside a button; GitHub takes 40 characters.
pub type ButtonText = Bounded<40>;

impl<const MOST: usize> Bounded<MOST> {
    /// Takes a text, cut at a character if it is longer; one that was cut says so at its end.
    pub fn cut(text: &str) -> Self {
        let count = text.chars().count();
        if count <= MOST {
            return Self(text.to_owned());
        }
        let note = format!("\n\n… cut here: {count} characters are more than GitHub takes.\n");
        let note = if note.chars().count() * 2 < MOST { note.as_str() } else { "…" };
        let kept = MOST - note.chars().count();
        Self(text.chars().take(kept).chain(note.chars()).collect())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The annotations of one request; GitHub takes 50.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Annotations(Vec<Annotation>);

impl Annotations {
    /// The most that GitHub takes.
    pub const MOST: usize = 50;

    /// Takes the first of a list.
    pub fn first(annotations: impl IntoIterator<Item = Annotation>) -> Self {
        Self(annotations.into_iter().take(Self::MOST).collect())
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The buttons of a check run; GitHub takes 3.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Actions(Vec<Action>);

impl Actions {
    /// The most that GitHub takes.
    pub const MOST: usize = 3;

    /// Takes the first of a list.
    pub fn first(actions: impl IntoIterator<Item = Action>) -> Self {
        Self(actions.into_iter().take(Self::MOST).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_cut_says_so_where_there_is_room_for_it() {
        assert_eq!(Bounded::<5>::cut("short").as_str(), "short");
        assert_eq!(Bounded::<5>::cut("längeres").as_str(), "läng…");
        let long = "ä".repeat(300);
        let cut = Bounded::<255>::cut(&long);
        assert!(cut.as_str().ends_with("… cut here: 300 characters are more than GitHub takes.\n"));
        assert_eq!(cut.as_str().chars().count(), 255);
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_its_type_and_what_fits_is_whole(text in "(?s).{0,300}") {
            for (cut, most) in [
                (Bounded::<1>::cut(&text).0, 1),
                (Bounded::<20>::cut(&text).0, 20),
                (Bounded::<200>::cut(&text).0, 200),
            ] {
                prop_assert!(cut.chars().count() <= most);
                prop_assert_eq!(cut == text, text.chars().count() <= most);
            }
        }
    }
}
