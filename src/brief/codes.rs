//! The codes of every diagnostic; `docs/brief-reference.md` explains each of them.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*

        /// Lists every code, in the order of the reference.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

codes! {
    /// Says that a text is too long to be looked through.
    TEXT_TOO_LARGE = "brief-text-too-large";
    /// Says that a text holds too many briefs.
    TOO_MANY_BRIEFS = "brief-too-many";
    /// Says that a fence stands in a quote.
    IN_QUOTE = "brief-in-quote";
    /// Says that a fence stands in a list item.
    IN_LIST = "brief-in-list";
    /// Says that a fence stands in another fence.
    IN_FENCE = "brief-in-fence";
    /// Says that a fence is indented so far that it is shown as code.
    IN_INDENTED_CODE = "brief-in-indented-code";
    /// Says that a fence stands in an HTML comment.
    IN_HTML_COMMENT = "brief-in-html-comment";
    /// Says that a fence stands in raw HTML.
    IN_HTML = "brief-in-html";
    /// Says that a fence stands in a footnote.
    IN_FOOTNOTE = "brief-in-footnote";
    /// Says that a fence is never closed.
    UNCLOSED = "brief-unclosed";
    /// Says that a fence's first word is nearly, but not quite, `codex-brief`.
    MISSPELT = "brief-misspelt";
    /// Says that a brief is larger than [`super::MAX_BRIEF_BYTES`].
    TOO_LARGE = "brief-too-large";
    /// Says that a brief nests deeper than any brief does.
    TOO_DEEP = "brief-too-deep";
    /// Says that a brief holds more values than [`super::MAX_NODES`].
    TOO_MANY_VALUES = "brief-too-many-values";
    /// Says that a brief holds characters that change the direction of text.
    BIDI_CHARACTER = "brief-bidi-character";
    /// Says that a brief holds characters that are shown as nothing.
    INVISIBLE_CHARACTER = "brief-invisible-character";
    /// Says that a brief holds Unicode tag characters.
    TAG_CHARACTER = "brief-tag-character";
    /// Says that a brief holds control characters.
    CONTROL_CHARACTER = "brief-control-character";
    /// Says that the text is not YAML.
    YAML = "brief-yaml";
    /// Says that a tab is used for indentation.
    TAB = "brief-tab";
    /// Says that the brief holds a `---` or `...` line.
    DOCUMENT_MARKER = "brief-document-marker";
    /// Says that the brief holds several YAML documents.
    SEVERAL_DOCUMENTS = "brief-several-documents";
    /// Says that the brief holds a YAML directive such as `%YAML`.
    DIRECTIVE = "brief-directive";
    /// Says that the brief defines a YAML anchor.
    ANCHOR = "brief-anchor";
    /// Says that the brief uses a YAML alias.
    ALIAS = "brief-alias";
    /// Says that the brief uses a YAML tag such as `!!str`.
    YAML_TAG = "brief-yaml-tag";
    /// Says that the brief uses a YAML merge key.
    MERGE_KEY = "brief-merge-key";
    /// Says that a field's name is not plain text.
    FIELD_NAME = "brief-field-name";
    /// Says that a field is given twice.
    DUPLICATE_FIELD = "brief-duplicate-field";
    /// Says that a field does not exist.
    UNKNOWN_FIELD = "brief-unknown-field";
    /// Says that required fields are missing.
    MISSING_FIELD = "brief-missing-field";
    /// Says that the block holds nothing.
    EMPTY = "brief-empty";
    /// Says that a value is of another kind than the field wants.
    WRONG_TYPE = "brief-wrong-type";
    /// Says that a text is written so that YAML reads a number, a truth value or nothing.
    UNQUOTED = "brief-unquoted";
    /// Says that a value that must hold something is empty.
    EMPTY_VALUE = "brief-empty-value";
    /// Says that a value that must be one line has several.
    SEVERAL_LINES = "brief-several-lines";
    /// Says that a value is longer than its limit.
    TOO_LONG = "brief-too-long";
    /// Says that a brief has more steps than [`super::MAX_STEPS`].
    TOO_MANY_STEPS = "brief-too-many-steps";
    /// Says that an output names more files than [`super::MAX_FILES`].
    TOO_MANY_FILES = "brief-too-many-files";
    /// Says that a name is not one that a lane can have.
    EXECUTOR = "brief-executor";
    /// Says that a value is not a repository's name.
    REPO = "brief-repo";
    /// Says that a value is not a branch's name.
    BRANCH = "brief-branch";
    /// Says that a path cannot be the working directory.
    WORKDIR = "brief-workdir";
    /// Says that a step is of a kind that does not exist, or of several.
    STEP_KIND = "brief-step-kind";
    /// Says that a field of a step belongs to another kind.
    STEP_FIELD = "brief-step-field";
    /// Says that a program cannot run Python scripts.
    INTERPRETER = "brief-interpreter";
    /// Says that a value is not a target or a variable that make can be given.
    MAKE = "brief-make";
    /// Says that a step may not give kubectl an argument.
    KUBECTL = "brief-kubectl";
    /// Says that a text cannot be the name of a variable.
    VARIABLE = "brief-variable";
    /// Says that a value is not a condition of a step.
    IF = "brief-if";
    /// Says that a value is not a time.
    TIMEOUT = "brief-timeout";
    /// Says that an output is of a type that is not served.
    OUTPUT_TYPE = "brief-output-type";
    /// Says that a brief has more than one `pr` output.
    SEVERAL_PRS = "brief-several-prs";
    /// Says that a path is not one inside the repository.
    FILE_PATH = "brief-file-path";
    /// Says that a path is a pattern.
    FILE_PATTERN = "brief-file-pattern";
    /// Says that a path leads into git's own folder.
    FILE_IN_GIT = "brief-file-in-git";
    /// Says that a path is given twice.
    FILE_TWICE = "brief-file-twice";
    /// Says that a path lies inside another one.
    FILE_OVERLAP = "brief-file-overlap";
    /// Says that a brief has more outputs than [`super::outputs::MAX_OUTPUTS`].
    TOO_MANY_OUTPUTS = "brief-too-many-outputs";
    /// Says that a comment has no text, or two.
    COMMENT_TEXT = "brief-comment-text";
    /// Says that a path is not one that a report can have.
    REPORT_PATH = "brief-report-path";
    /// Says that a branch is not below the server's own.
    BRANCH_NAME = "brief-branch-name";
    /// Says that a value is not a label's name.
    LABEL = "brief-label";
    /// Says that a value is not the name of a person's account.
    LOGIN = "brief-login";
    /// Says that a list has more entries than GitHub takes.
    TOO_MANY_ENTRIES = "brief-too-many-entries";
    /// Says that a list names something twice.
    LISTED_TWICE = "brief-listed-twice";
    /// Says that a value is neither `true` nor `false`.
    TRUTH_VALUE = "brief-truth-value";
    /// Says that a value is not an issue's number.
    LINK_ISSUE = "brief-link-issue";
    /// Says that a commit message holds a trailer that only the publisher writes.
    RESERVED_TRAILER = "brief-reserved-trailer";
    /// Says how many more problems were found than are shown.
    MORE_PROBLEMS = "brief-more-problems";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    const REFERENCE: &str = include_str!("../../docs/brief-reference.md");

    #[test]
    fn every_code_is_kebab_case_and_used_once() {
        let distinct: BTreeSet<_> = ALL.iter().collect();
        assert_eq!(distinct.len(), ALL.len());
        for code in ALL {
            assert!(code.starts_with("brief-"), "{code}");
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code}");
        }
    }

    #[test]
    fn the_reference_explains_exactly_the_codes_that_exist() {
        let explained: BTreeSet<&str> = REFERENCE
            .lines()
            .filter_map(|line| line.strip_prefix("| `brief-").map(|_| line))
            .filter_map(|line| line.split('`').nth(1))
            .collect();
        let existing: BTreeSet<&str> = ALL.iter().copied().collect();
        assert_eq!(explained, existing, "left: docs/brief-reference.md, right: src/brief/codes.rs");
    }
}
