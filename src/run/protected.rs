//! Which paths no brief may change: those by which a repository rules itself, and those that an
//! operator names; pure rules.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::run::changeset::RefusalReason;
use crate::run::names;

/// A kind of paths that is protected without anybody naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Runs with the repository's secrets, before anybody has read it.
    Workflows,
    /// Runs within workflows.
    Actions,
    /// Tells who must review what.
    Codeowners,
    /// Tells git which programs filter files, and GitHub which diffs to fold away.
    Attributes,
    /// Tells git which other repositories to fetch.
    Modules,
    /// Tells this server what it may do in the repository.
    Policy,
}

/// The kinds that an operator can give up, by the names that `allow_protected` takes. Workflows are
/// not among them, since the App lacks GitHub's permission, nor is the server's own policy.
const ALLOWABLE: [(&str, Kind); 4] = [
    ("CODEOWNERS", Kind::Codeowners),
    (".gitattributes", Kind::Attributes),
    (".gitmodules", Kind::Modules),
    ("actions", Kind::Actions),
];

/// The paths that no brief of a lane may change.
///
/// A path is compared with its case lowered, its Unicode in form NFKC and without what file systems
/// drop at a name's end, and a protected folder protects all that lies below it.
#[derive(Debug, Clone)]
pub struct ProtectedPaths {
    named: GlobSet,
    allowed: Vec<Kind>,
}

impl Default for ProtectedPaths {
    fn default() -> Self {
        Self { named: GlobSet::empty(), allowed: Vec::new() }
    }
}

impl ProtectedPaths {
    /// Makes the rule from `further` patterns, in the manner of `.gitignore`, and the built-in kinds
    /// that are `allowed` all the same.
    ///
    /// # Errors
    /// Tells which pattern or kind cannot be used, and why.
    pub fn new(further: &[String], allowed: &[String]) -> Result<Self, String> {
        let mut named = GlobSetBuilder::new();
        for pattern in further {
            let glob = glob_of(pattern)
                .and_then(|glob| {
                    let built = GlobBuilder::new(&glob).literal_separator(true).build();
                    built.map_err(|error| error.kind().to_string())
                })
                .map_err(|why| format!("`{pattern}` of `protected_paths` cannot be used: {why}"))?;
            named.add(glob);
        }
        let kind = |name: &String| {
            let found = ALLOWABLE.iter().find(|(known, _)| known == name);
            found.map(|(_, kind)| *kind).ok_or_else(|| {
                let names = ALLOWABLE.map(|(known, _)| format!("`{known}`")).join(", ");
                format!("`{name}` of `allow_protected` is none of {names}")
            })
        };
        let allowed = allowed.iter().map(kind).collect::<Result<_, _>>()?;
        let named = named.build().map_err(|error| format!("`protected_paths` cannot be used: {error}"))?;
        Ok(Self { named, allowed })
    }

    /// Returns why a changed path is refused, given from the repository's root without a leading
    /// slash; `None` for one that a brief may change.
    pub fn refuses(&self, path: &str) -> Option<RefusalReason> {
        let kind = kind_of(path).filter(|kind| !self.allowed.contains(kind));
        if kind == Some(Kind::Workflows) {
            return Some(RefusalReason::Workflow);
        }
        let path = folded(path);
        let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
        let is_named = || folders.chain([path.as_str()]).any(|part| self.named.is_match(part));
        (kind.is_some() || is_named()).then_some(RefusalReason::Protected)
    }
}

/// Turns a pattern as people know them from `.gitignore` into a glob for whole paths.
fn glob_of(pattern: &str) -> Result<String, String> {
    if pattern.starts_with('!') {
        return Err("exceptions by `!` are not served".to_owned());
    }
    let anchored = pattern.trim_end_matches('/').contains('/');
    let rest = pattern.trim_end_matches("/**").trim_matches('/');
    match folded(rest).as_str() {
        "" => Err("it names nothing".to_owned()),
        rest if anchored => Ok(rest.to_owned()),
        rest => Ok(format!("**/{rest}")),
    }
}

fn folded(path: &str) -> String {
    path.split('/').map(names::as_opened).collect::<Vec<_>>().join("/")
}

/// Returns the built-in kind that a path is of. A folder that holds such paths is of their kind too,
/// since a link in its place would stand for all of them.
fn kind_of(path: &str) -> Option<Kind> {
    let parts: Vec<String> = path.split('/').map(names::as_opened).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        [".github"] | [".github", "workflows", ..] => return Some(Kind::Workflows),
        [".github", "actions", ..] => return Some(Kind::Actions),
        [".github", "codex-brief.toml"] => return Some(Kind::Policy),
        ["codeowners"] | [".github" | "docs", "codeowners"] => return Some(Kind::Codeowners),
        _ => {}
    }
    parts.iter().find_map(|name| match *name {
        "action.yml" | "action.yaml" => Some(Kind::Actions),
        ".gitattributes" => Some(Kind::Attributes),
        ".gitmodules" => Some(Kind::Modules),
        // The short names that NTFS gives them, by git's own `is_ntfs_dotgit*`.
        name if is_short_name(name, "gitatt", "gi7d29") => Some(Kind::Attributes),
        name if is_short_name(name, "gitmod", "gi7eba") => Some(Kind::Modules),
        _ => None,
    })
}

fn is_short_name(name: &str, start: &str, hash: &str) -> bool {
    name.split_once('~').is_some_and(|(before, number)| {
        (before == start || before == hash)
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(further: &[&str], allowed: &[&str]) -> ProtectedPaths {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        ProtectedPaths::new(&owned(further), &owned(allowed)).unwrap()
    }

    #[test]
    fn workflows_are_protected_in_any_case() {
        let every = ALLOWABLE.map(|(name, _)| name);
        for path in [
            ".github/workflows/a.yml",
            ".GitHub/Workflows/b",
            ".github/workflows",
            ".github",
            ".github/workflow\u{17f}/a.yml",
            ".GITHUB/workflows./a.yml",
            ".github::$INDEX_ALLOCATION/workflows/a.yml",
        ] {
            assert_eq!(with(&[], &every).refuses(path), Some(RefusalReason::Workflow), "{path}");
        }
    }

    #[test]
    fn what_rules_a_repository_is_protected_wherever_it_counts() {
        for path in [
            "CODEOWNERS",
            "docs/codeowners",
            ".github/CodeOwners",
            ".gitattributes",
            "deep/down/.GitAttributes",
            ".gitmodules",
            "GITMOD~1",
            "gi7eba~9",
            "sub/gitatt~2",
            ".gitmodules::$DATA",
            ".gitattributes. .",
            ".github/codex-brief.toml",
            ".github/actions/build/run.sh",
            "action.yml",
            "tools/deploy/Action.yaml",
        ] {
            assert_eq!(with(&[], &[]).refuses(path), Some(RefusalReason::Protected), "{path}");
        }
        for path in [
            "src/CODEOWNERS",
            "codeowners.md",
            "x/.github/workflows/a.yml",
            ".github/workflows.md",
            ".github/ISSUE_TEMPLATE/a.md",
            ".gitignore",
            "gitmodules",
            "actions/x",
            "reaction.yml",
        ] {
            assert_eq!(with(&[], &[]).refuses(path), None, "{path}");
        }
    }

    #[test]
    fn an_operator_names_more_in_the_manner_of_gitignore() {
        let rule = with(&["deploy/**", "*.PEM", "/Makefile", "infra/*/prod.tf", "re\u{301}sume\u{301}"], &[]);
        for path in [
            "deploy",
            "deploy/a/b",
            "Deploy/x",
            "key.pem",
            "a/b/key.Pem",
            "makefile",
            "infra/eu/prod.tf",
            "a/r\u{e9}sum\u{e9}/x",
        ] {
            assert_eq!(rule.refuses(path), Some(RefusalReason::Protected), "{path}");
        }
        for path in ["x/deploy", "pem", "a/Makefile", "infra/prod.tf", "infra/eu/west/prod.tf"] {
            assert_eq!(rule.refuses(path), None, "{path}");
        }
        assert_eq!(with(&["**"], &[]).refuses("a/b"), Some(RefusalReason::Protected));
    }

    #[test]
    fn an_operator_can_give_up_a_kind_but_not_the_workflows() {
        let rule = with(&[], &["CODEOWNERS", "actions"]);
        assert_eq!(rule.refuses("CODEOWNERS"), None);
        assert_eq!(rule.refuses(".github/actions/x/action.yml"), None);
        assert_eq!(rule.refuses(".gitmodules"), Some(RefusalReason::Protected));
        for name in ["workflows", ".github/workflows", ".github/codex-brief.toml", "codeowners"] {
            let error = ProtectedPaths::new(&[], &[name.to_owned()]).unwrap_err();
            assert!(error.contains(name) && error.contains("`CODEOWNERS`"), "{error}");
        }
        for pattern in ["!x", "", "/", "a[", "{a"] {
            let error = ProtectedPaths::new(&[pattern.to_owned()], &[]).unwrap_err();
            assert!(error.contains("protected_paths"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_path_has_an_answer_that_case_does_not_change(path in "[.a-zA-Z~0-9/]{0,40}", below in "[a-z]{1,5}") {
            let rule = with(&["Secret/**"], &[]);
            let answer = rule.refuses(&path);
            prop_assert_eq!(rule.refuses(&path.to_uppercase()), answer);
            // What lies below a protected folder of the operator is protected.
            let inside = format!("sEcret/{path}/{below}");
            prop_assert!(rule.refuses(&inside).is_some());
        }
    }
}
