//! The ignore rules of the base commit: what a step writes into `.gitignore` hides nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git2::{ObjectType, Repository, Tree};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// Bounds a `.gitignore` that is read, in bytes; rules of a longer one do not count, so what they
/// would hide shows up as a change.
const MAX_RULES: usize = 1 << 20;

/// Holds the rules from the root down to the folder that is being walked.
#[derive(Default)]
pub(super) struct IgnoreRules {
    /// Each with the length of its folder's path, including the slash behind it.
    stack: Vec<(usize, Option<Gitignore>)>,
}

impl IgnoreRules {
    /// Enters a folder: `prefix` is the length of its path with the slash behind it, `tree` what the
    /// base commit holds there.
    pub(super) fn enter(&mut self, repository: &Repository, tree: Option<&Tree<'_>>, prefix: usize) {
        self.stack.push((prefix, tree.and_then(|tree| rules(repository, tree))));
    }

    /// Leaves the folder that was entered last.
    pub(super) fn leave(&mut self) {
        self.stack.pop();
    }

    /// Tells whether the rules name this path; the innermost folder's rules decide, as in git.
    pub(super) fn matches(&self, path: &[u8], is_dir: bool) -> bool {
        for (prefix, rules) in self.stack.iter().rev() {
            let (Some(rules), Some(relative)) = (rules, path.get(*prefix..)) else { continue };
            match rules.matched(Path::new(OsStr::from_bytes(relative)), is_dir) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }
}

fn rules(repository: &Repository, tree: &Tree<'_>) -> Option<Gitignore> {
    let entry = tree.get_name(".gitignore")?;
    // git does not read rules through a link.
    if entry.kind() != Some(ObjectType::Blob) || entry.filemode() == 0o120_000 {
        return None;
    }
    let (size, _) = repository.odb().ok()?.read_header(entry.id()).ok()?;
    if size > MAX_RULES {
        return None;
    }
    let blob = repository.find_blob(entry.id()).ok()?;
    let content = blob.content();
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut builder = GitignoreBuilder::new("");
    for line in content.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A line that is no rule hides nothing.
        let _ = std::str::from_utf8(line).ok().map(|line| builder.add_line(None, line));
    }
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_with<'r>(repository: &'r Repository, content: &[u8], mode: i32) -> Tree<'r> {
        let blob = repository.blob(content).unwrap();
        let mut builder = repository.treebuilder(None).unwrap();
        builder.insert(".gitignore", blob, mode).unwrap();
        let id = builder.write().unwrap();
        repository.find_tree(id).unwrap()
    }

    #[test]
    fn inner_rules_win_over_outer_ones() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let outer = tree_with(&repository, b"\xef\xbb\xbf*.log\r\n/top\nbuild/\n\xff\n", 0o100_644);
        let inner = tree_with(&repository, b"!keep.log\n/own\n", 0o100_644);
        let mut rules = IgnoreRules::default();
        rules.enter(&repository, Some(&outer), 0);
        assert!(rules.matches(b"a.log", false) && rules.matches(b"top", false));
        assert!(rules.matches(b"build", true) && !rules.matches(b"build", false));
        rules.enter(&repository, Some(&inner), 2);
        assert!(!rules.matches(b"d/keep.log", false) && rules.matches(b"d/other.log", false));
        assert!(rules.matches(b"d/own", false) && !rules.matches(b"d/top", false));
        rules.leave();
        assert!(rules.matches(b"keep.log", false) && !rules.matches(b"own", false));
    }

    #[test]
    fn rules_behind_a_link_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(dir.path()).unwrap();
        let tree = tree_with(&repository, b"*", 0o120_000);
        let mut rules = IgnoreRules::default();
        rules.enter(&repository, Some(&tree), 0);
        assert!(!rules.matches(b"a", false));
    }
}
