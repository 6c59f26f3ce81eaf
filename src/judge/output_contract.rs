//! The two-way output contract: what a run changed is what its brief declares, no less and no more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::run::changeset::{Changeset, Exceeded, Refusal, RefusalKind};
use crate::run::protected::ProtectedPaths;
use crate::run::report::Problem;

/// Bounds the paths that one message lists; the rest is counted.
const LISTED: usize = 10;

const PROTECTED_HELP: &str = "Leave them to a person. The operator decides by the lane's `protected_paths` and \
    `allow_protected` what is protected; workflows always are.";

/// What the contract says of a changeset. The pull request is made when nothing stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Tells that the run changed nothing at all.
    pub nothing_changed: bool,
    /// Lists declared paths that did not change, sorted.
    pub unchanged: Vec<String>,
    /// Lists changed paths that are not declared, sorted.
    pub undeclared: Vec<String>,
    /// Lists what is not taken into a commit.
    pub refused: Vec<Refusal>,
    /// Tells which bound the run went beyond.
    pub exceeded: Option<Exceeded>,
}

/// Holds the declared paths against the changeset. Paths are compared as they are written.
pub fn judge(declared: &[String], changeset: &Changeset) -> Verdict {
    let declared: BTreeSet<&str> = declared.iter().map(String::as_str).collect();
    let changed: BTreeSet<&str> = changeset.entries.iter().map(|change| change.path.as_str()).collect();
    let refused: BTreeSet<&str> = changeset.refused.iter().map(|refusal| refusal.path.as_str()).collect();
    let owned = |path: &&str| (*path).to_owned();
    let exceeded = changeset.exceeded;
    Verdict {
        nothing_changed: changed.is_empty() && refused.is_empty() && exceeded.is_none(),
        // After an early end nobody knows what else changed; a refused path is told as such.
        unchanged: if exceeded.is_some() {
            Vec::new()
        } else {
            declared.difference(&changed).filter(|path| !refused.contains(*path)).map(owned).collect()
        },
        undeclared: changed.difference(&declared).map(owned).collect(),
        refused: changeset.refused.clone(),
        exceeded,
    }
}

/// Tells what of the declared paths no run may change: a brief with such a path need not run at all.
pub fn refuse_declared(declared: &[String], protected: &ProtectedPaths) -> Option<Problem> {
    let refused = declared.iter().filter_map(|path| {
        protected.refuses(path).map(|reason| format!("{} {}", quoted(path), reason.text()))
    });
    let refused: Vec<String> = refused.collect();
    let list = listed(refused.into_iter())?;
    Some(problem(
        "protected-paths",
        format!("The brief declares paths that no brief may change, so nothing was run: {list}."),
        PROTECTED_HELP,
    ))
}

impl Verdict {
    /// Tells whether the contract is kept.
    pub fn is_ok(&self) -> bool {
        *self == Self::default()
    }

    /// Returns everything that is wrong, the gravest first; the codes stand in `docs/messages.md`.
    pub fn problems(&self) -> Vec<Problem> {
        if self.nothing_changed {
            return vec![no_changes(&self.unchanged)];
        }
        let found = [
            self.exceeded.map(too_many),
            self.refused_as(RefusalKind::Protected).map(|list| {
                problem(
                    "protected-paths",
                    format!("The run changed paths that no brief may change: {list}."),
                    PROTECTED_HELP,
                )
            }),
            self.refused_as(RefusalKind::Never).map(|list| {
                problem(
                    "refused-files",
                    format!("The run left files that are not taken into a commit: {list}."),
                    "Let the steps write plain files inside the repository, or remove what is only theirs.",
                )
            }),
            self.refused_as(RefusalKind::ByLane).map(|list| {
                problem(
                    "not-taken-by-lane",
                    format!("The run left files that this lane does not take: {list}."),
                    "Let the steps leave them out, choose another lane, or ask the operator to change the setting that \
                     is named.",
                )
            }),
            listed(self.undeclared.iter().map(|path| quoted(path))).map(|list| {
                problem(
                    "undeclared-changes",
                    format!("The run changed paths that the brief does not declare: {list}."),
                    "Add them to `files` of the output, let the steps leave them alone, or have `.gitignore` name them.",
                )
            }),
            listed(self.unchanged.iter().map(|path| quoted(path))).map(|list| {
                problem(
                    "declared-unchanged",
                    format!("The brief declares paths that the run did not change: {list}."),
                    "Check the paths against what the steps write, or take them out of `files`.",
                )
            }),
        ];
        found.into_iter().flatten().collect()
    }

    fn refused_as(&self, kind: RefusalKind) -> Option<String> {
        let refused = self.refused.iter().filter(|refusal| refusal.reason.kind() == kind);
        let told = refused.map(|refusal| format!("{} {}", quoted(&refusal.path), refusal.reason.text()));
        listed(told.collect::<Vec<_>>().into_iter())
    }

    /// Returns everything that is wrong as one problem with the gravest one's code and help.
    pub fn problem(&self) -> Option<Problem> {
        let problems = self.problems();
        let message = problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join(" ");
        problems.into_iter().next().map(|first| Problem { message, ..first })
    }
}

fn no_changes(declared: &[String]) -> Problem {
    let wanted = listed(declared.iter().map(|path| quoted(path)));
    let wanted = wanted.map_or_else(String::new, |list| format!(" The brief declares {list}."));
    problem(
        "no-changes",
        format!("The steps ended well, but nothing in the repository changed.{wanted}"),
        "Check that the steps write below `workdir`, and that the content is not there already.",
    )
}

fn too_many(bound: Exceeded) -> Problem {
    let message = match bound {
        Exceeded::Files(limit) => format!("The run changed more than {limit} paths."),
        Exceeded::Bytes(limit) => format!("The changed files hold more than {limit} bytes."),
        Exceeded::Entries(limit) => format!("The checkout holds more than {limit} entries after the run."),
    };
    problem(
        "too-many-changes",
        format!("{message} Only what was found up to there is kept."),
        "Let the steps write less, have `.gitignore` name what they build, or ask the operator to raise the lane's `limits`.",
    )
}

fn problem(code: &str, message: String, help: &str) -> Problem {
    Problem { code: code.into(), message, help: help.into() }
}

fn quoted(path: &str) -> String {
    format!("\"{path}\"")
}

fn listed(items: impl ExactSizeIterator<Item = String>) -> Option<String> {
    let more = items.len().saturating_sub(LISTED);
    let first: Vec<String> = items.take(LISTED).collect();
    match (first.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first.join(", ")),
        (false, more) => Some(format!("{} and {more} more", first.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::changeset::{Change, FileMode, RefusalReason};
    use crate::run::report::ChangeKind;
    use crate::store::blobs::BlobId;

    fn changeset(paths: &[&str]) -> Changeset {
        let change = |path: &&str| Change {
            path: (*path).into(),
            kind: ChangeKind::Added,
            mode: Some(FileMode::Regular),
            blob: Some(BlobId::of(b"")),
            size: 0,
        };
        Changeset {
            base_commit: "0".repeat(40).parse().unwrap(),
            entries: paths.iter().map(change).collect(),
            ignored: 0,
            refused: Vec::new(),
            exceeded: None,
        }
    }

    fn codes(verdict: &Verdict) -> Vec<String> {
        verdict.problems().into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn exactly_the_declared_paths_keep_the_contract() {
        let verdict = judge(&["b".into(), "a".into(), "a".into()], &changeset(&["a", "b"]));
        assert!(verdict.is_ok() && verdict.problem().is_none());
    }

    #[test]
    fn nothing_changed_is_one_problem_that_names_what_was_wanted() {
        let verdict = judge(&["a".into()], &changeset(&[]));
        assert_eq!(codes(&verdict), ["no-changes"]);
        assert!(verdict.problem().unwrap().message.contains("\"a\""));
    }

    #[test]
    fn missing_and_extra_paths_are_told_together() {
        let verdict = judge(&["a".into(), "b".into()], &changeset(&["a", "c"]));
        assert_eq!(codes(&verdict), ["undeclared-changes", "declared-unchanged"]);
        let problem = verdict.problem().unwrap();
        assert_eq!(problem.code, "undeclared-changes");
        assert!(problem.message.contains("\"c\"") && problem.message.contains("\"b\""));
    }

    #[test]
    fn each_kind_of_refusal_has_its_code() {
        let mut changes = changeset(&["w", "b"]);
        for (path, reason) in
            [("b", RefusalReason::Binary), ("p", RefusalReason::Fifo), ("w", RefusalReason::Protected)]
        {
            changes.refused.push(Refusal { path: path.into(), reason });
        }
        let verdict = judge(&["w".into(), "b".into(), "p".into()], &changes);
        assert_eq!(codes(&verdict), ["protected-paths", "refused-files", "not-taken-by-lane"]);
        let problem = verdict.problem().unwrap();
        assert!(problem.message.contains("\"w\" is protected."), "{}", problem.message);
        assert!(problem.message.contains("\"b\" is not text, and the lane"), "{}", problem.message);
    }

    #[test]
    fn a_protected_path_that_is_declared_is_told_before_anything_runs() {
        let protected = ProtectedPaths::new(&["deploy".into()], &[]).unwrap();
        let declared = ["a".into(), "deploy/x".into(), ".github/workflows/ci.yml".into()];
        let problem = refuse_declared(&declared, &protected).unwrap();
        assert_eq!(problem.code, "protected-paths");
        assert!(
            problem.message.contains("\"deploy/x\" is protected, \".github/workflows/ci.yml\" is a workflow")
        );
        assert_eq!(refuse_declared(&declared[..1], &protected), None);
    }

    #[test]
    fn a_refused_path_is_not_also_told_as_unchanged() {
        let mut changes = changeset(&[]);
        changes.refused.push(Refusal { path: "a".into(), reason: RefusalReason::AbsoluteSymlink });
        let verdict = judge(&["a".into()], &changes);
        assert_eq!(codes(&verdict), ["refused-files"]);
        assert!(verdict.problem().unwrap().message.contains("\"a\" is a symbolic link to an absolute path"));
    }

    #[test]
    fn an_early_end_says_nothing_of_what_was_not_seen() {
        let mut changes = changeset(&["a"]);
        changes.exceeded = Some(Exceeded::Files(1));
        let verdict = judge(&["a".into(), "b".into()], &changes);
        assert_eq!(codes(&verdict), ["too-many-changes"]);
        assert!(!verdict.is_ok());
    }

    #[test]
    fn long_lists_are_counted() {
        let paths: Vec<String> = (10..40).map(|n| format!("f{n}")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let problem = judge(&[], &changeset(&paths)).problem().unwrap();
        assert!(problem.message.ends_with("\"f19\" and 20 more."), "{}", problem.message);
    }
}
