//! A run's changes on their way from the checkout that strangers' steps have touched to a commit and
//! a branch.

// clippy.toml lets tests panic, but not the functions that they share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod contract;
mod git_http;
mod remote;
mod same_as_git;
mod world;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use codex_brief::judge::output_contract::judge;
use codex_brief::publish::diff;
use codex_brief::run::changeset::{Exceeded, FileMode, RefusalReason};
use codex_brief::run::report::ChangeKind;
use world::{World, git, owned, paths, write};

#[tokio::test]
async fn a_new_report_becomes_a_commit_with_exactly_that_file() {
    let world = World::with(&[("README.md", "hello\n"), ("src/a.txt", "a\n")]).await;
    write(&world.at("reports/one.md"), "# One\n");
    let changeset = world.collect(&["reports/one.md"]);
    assert!(judge(&owned(&["reports/one.md"]), &changeset).is_ok());

    let commit = world.commit(&changeset, &["reports/one.md"]).unwrap();
    assert_eq!(world.commit(&changeset, &["reports/one.md"]).unwrap(), commit, "a repeat finds itself");
    let shown = world.mirror_git(&["show", "--format=%an %ae %at %P", "--name-status", &commit.to_string()]);
    let expected = format!("codex-brief[bot] bot@example.com 1700000000 {}\n\nA\treports/one.md", world.base);
    assert_eq!(shown, expected);
    assert_eq!(world.mirror_git(&["show", &format!("{commit}:reports/one.md")]), "# One");
    world.mirror_git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn modes_links_and_deletions_are_changes() {
    let world = World::with(&[("run.sh", "x\n"), ("old", "o\n"), ("dir/f", "f\n"), ("same", "s\n")]).await;
    fs::set_permissions(world.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(world.at("old")).unwrap();
    fs::remove_dir_all(world.at("dir")).unwrap();
    symlink("run.sh", world.at("dir")).unwrap();
    write(&world.at("same"), "s\n");
    let changeset = world.collect(&[]);
    let found: Vec<_> =
        changeset.entries.iter().map(|change| (change.path.as_str(), change.kind, change.mode)).collect();
    assert_eq!(
        found,
        [
            ("dir", ChangeKind::Added, Some(FileMode::Symlink)),
            ("dir/f", ChangeKind::Deleted, None),
            ("old", ChangeKind::Deleted, None),
            ("run.sh", ChangeKind::Modified, Some(FileMode::Executable)),
        ]
    );
    let tree = world.mirror_git(&["ls-tree", &format!("{}", world.commit_all(&changeset))]);
    assert!(tree.contains("120000 blob") && tree.contains("100755 blob") && !tree.contains("old"), "{tree}");
}

#[tokio::test]
async fn files_appear_as_they_are_stored() {
    let attributes = "*.txt text eol=crlf ident\n*.bin filter=lfs\n";
    let files = [(".gitattributes", attributes), ("a.txt", "one $Id$\ntwo\n"), ("b.bin", "version lfs\n")];
    let world = World::with(&files).await;
    assert_eq!(fs::read_to_string(world.at("a.txt")).unwrap(), "one $Id$\ntwo\n");
    assert_eq!(paths(&world.collect(&[])), Vec::<&str>::new());
    write(&world.at("a.txt"), "one\r\n");
    let commit = world.commit_all(&world.collect(&[]));
    assert_eq!(world.mirror_git(&["cat-file", "-s", &format!("{commit}:a.txt")]), "5");
}

#[tokio::test]
async fn git_works_inside_the_checkout_and_knows_no_remote() {
    let world = World::with(&[("a", "1\n"), ("b/c", "2\n")]).await;
    let inside = world.at(".git/objects/info/alternates");
    assert_eq!(fs::read_to_string(&inside).unwrap(), "/opt/codex-brief/objects\n");
    // What the sandbox does by a mount, a test does by the path.
    write(&inside, format!("{}\n", world.mirror.objects_path().display()));
    let at = &world.dirs.checkout;
    assert_eq!(git(at, &["status", "--porcelain", "--branch"]), "## main");
    assert_eq!(git(at, &["log", "--format=%s"]), "base");
    assert_eq!(git(at, &["rev-parse", "HEAD"]), world.base.to_string());
    assert_eq!(git(at, &["remote"]), "");
    git(at, &["diff-files", "--quiet"]);
}

#[tokio::test]
async fn ignored_output_is_counted_unless_it_is_declared() {
    let world = World::with(&[(".gitignore", "target/\n*.log\n"), ("tracked.log", "1\n")]).await;
    write(&world.at("target/debug/app"), "x");
    symlink("/usr/bin/python3", world.at("target/python")).unwrap();
    write(&world.at("a.log"), "x");
    write(&world.at("tracked.log"), "2\n");
    let changeset = world.collect(&[]);
    assert_eq!((paths(&changeset), changeset.ignored), (vec!["tracked.log"], 2));
    assert_eq!(changeset.refused, []);
    let changeset = world.collect(&["target/debug/app", "a.log"]);
    assert_eq!(paths(&changeset), ["a.log", "target/debug/app", "tracked.log"]);
}

#[tokio::test]
async fn a_step_cannot_hide_a_change_by_ignore_rules_of_its_own() {
    let world = World::with(&[("a", "1\n")]).await;
    write(&world.at(".gitignore"), "*\n");
    write(&world.at(".git/info/exclude"), "*\n");
    write(&world.at("sub/.gitignore"), "*\n");
    write(&world.at("sub/hidden"), "x");
    let changeset = world.collect(&[]);
    assert_eq!(paths(&changeset), [".gitignore", "sub/.gitignore", "sub/hidden"]);
}

#[tokio::test]
async fn the_contract_names_missing_and_extra_paths() {
    let world = World::with(&[("a", "1\n"), ("b", "1\n")]).await;
    write(&world.at("c"), "new\n");
    let declared = ["a"];
    let changeset = world.collect(&declared);
    let verdict = judge(&owned(&declared), &changeset);
    let codes: Vec<String> = verdict.problems().into_iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["undeclared-changes", "declared-unchanged"]);
    let error = world.commit(&changeset, &declared).unwrap_err().to_string();
    assert!(error.contains("is not both declared and changed"), "{error}");
    assert_eq!(judge(&[], &World::with(&[]).await.collect(&[])).problems()[0].code, "no-changes");
}

#[tokio::test]
async fn bounds_end_the_collection() {
    let world = World::with(&[("a", "1\n")]).await;
    for n in 0..5 {
        write(&world.at(&format!("f{n}")), "12345678");
    }
    let changeset = world.collect_within(&[], 3, 1 << 20);
    assert_eq!((changeset.entries.len(), changeset.exceeded), (3, Some(Exceeded::Files(3))));
    let changeset = world.collect_within(&[], 99, 20);
    assert_eq!((changeset.entries.len(), changeset.exceeded), (2, Some(Exceeded::Bytes(20))));
    // A file that is one hole is never read, neither a new one nor one in a tracked file's place.
    for name in ["a", "hole"] {
        fs::File::create(world.at(name)).unwrap().set_len(1 << 42).unwrap();
        assert_eq!(world.collect_within(&[], 99, 1 << 20).exceeded, Some(Exceeded::Bytes(1 << 20)));
        fs::remove_file(world.at(name)).unwrap();
    }
}

#[tokio::test]
async fn a_long_file_is_compared_by_its_content() {
    let content = "0123456789abcdef".repeat(200_000);
    let world = World::with(&[("long", &content)]).await;
    write(&world.at("long"), &content);
    assert_eq!(paths(&world.collect_within(&[], 9, 8 << 20)), Vec::<&str>::new());
    write(&world.at("long"), content.replacen('0', "x", 1));
    let changeset = world.collect_within(&[], 9, 8 << 20);
    assert_eq!(paths(&changeset), ["long"]);
    let commit = world.commit_all(&changeset);
    assert!(world.mirror_git(&["show", &format!("{commit}:long")]).starts_with("x123456789"));
}

#[tokio::test]
async fn a_workflow_is_shown_but_refused() {
    let world = World::with(&[(".github/workflows/ci.yml", "on: push\n")]).await;
    write(&world.at(".github/workflows/ci.yml"), "on: issues\n");
    let changeset = world.collect(&[".github/workflows/ci.yml"]);
    assert_eq!(World::refusals(&changeset), [(".github/workflows/ci.yml", RefusalReason::Workflow)]);
    assert_eq!(paths(&changeset), [".github/workflows/ci.yml"]);
    assert!(!judge(&owned(&[".github/workflows/ci.yml"]), &changeset).is_ok());
    let error = world.commit(&changeset, &[".github/workflows/ci.yml"]).unwrap_err().to_string();
    assert!(error.contains("is a workflow"), "{error}");
}

#[tokio::test]
async fn a_link_that_came_into_the_store_otherwise_is_not_committed() {
    let world = World::with(&[("a", "1\n")]).await;
    symlink("a", world.at("link")).unwrap();
    let mut changeset = world.collect(&[]);
    let (blob, size) = world.blobs.put(&b"/etc/passwd"[..], 99).unwrap();
    (changeset.entries[0].blob, changeset.entries[0].size) = (Some(blob), size);
    let error = world.commit(&changeset, &["link"]).unwrap_err().to_string();
    assert!(error.contains("to an absolute path"), "{error}");
}

#[tokio::test]
async fn the_patch_rebuilds_the_tree_and_the_summary_counts_lines() {
    let world =
        World::with(&[("text", "1\n2\n3\n"), ("bin", "\0old"), ("gone", "g\n"), ("link", "l\n")]).await;
    write(&world.at("text"), "1\ntwo\n3\nno end");
    write(&world.at("bin"), "\0new\u{1}");
    write(&world.at("new \u{e9}"), b"latin \xe9\n");
    fs::remove_file(world.at("gone")).unwrap();
    fs::remove_file(world.at("link")).unwrap();
    symlink("text", world.at("link")).unwrap();
    let changeset = world.collect(&[]);
    let repository = world.mirror.repository().unwrap();
    let patch = diff::patch(&repository, &world.blobs, &changeset).unwrap();
    fs::write(world.dir.path().join("patch"), &patch).unwrap();
    git(&world.origin, &["apply", "--index", "../patch"]);
    let commit = world.commit_all(&changeset);
    let tree = world.mirror_git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    assert_eq!(git(&world.origin, &["write-tree"]), tree);

    let shown = diff::summarize(&repository, &world.blobs, &changeset, &owned(&["text"]), 1 << 20).unwrap();
    let text = shown.changes.iter().find(|change| change.path == "text").unwrap();
    assert_eq!((text.added_lines, text.removed_lines, text.binary, text.declared), (2, 1, false, true));
    let bin = shown.changes.iter().find(|change| change.path == "bin").unwrap();
    assert_eq!((bin.added_lines, bin.removed_lines, bin.binary, bin.declared), (0, 0, true, false));
    assert!(shown.diff.contains("+two\n") && !shown.cut);
    let short = diff::summarize(&repository, &world.blobs, &changeset, &[], 200).unwrap();
    assert!(short.cut && short.diff.len() <= 200 && short.diff.ends_with('\n'));
    assert_eq!(short.changes.len(), shown.changes.len());
}

#[tokio::test]
async fn files_are_compared_up_to_a_bound_whatever_a_step_shuffles() {
    let lines = "one\ntwo\n".repeat(50_000);
    let names = ["a", "b", "c", "d"];
    let world = World::with(&names.map(|name| (name, lines.as_str()))).await;
    for name in names {
        write(&world.at(name), format!("{lines}more\n"));
    }
    write(&world.at("new"), lines.repeat(4));
    let changeset = world.collect_within(&[], 1000, 16 << 20);
    let repository = world.mirror.repository().unwrap();
    let shown = diff::summarize(&repository, &world.blobs, &changeset, &[], 1 << 20).unwrap();
    let told: Vec<_> = shown.changes.iter().map(|change| (change.added_lines, change.binary)).collect();
    assert_eq!(told, [(1, false), (1, false), (0, true), (0, true), (400_000, false)]);
    assert!(shown.cut && shown.diff.contains("b/b\n") && !shown.diff.contains("b/c\n"));
}

#[tokio::test]
async fn a_submodule_stays_an_empty_folder() {
    let world = World::with(&[("a", "1\n")]).await;
    let link = format!("160000,{},sub", world.base);
    git(&world.origin, &["update-index", "--add", "--cacheinfo", &link]);
    git(&world.origin, &["commit", "-q", "-m", "sub"]);
    let World { dir, origin, .. } = world;
    fs::remove_dir_all(dir.path().join("runs")).unwrap();
    let world = World::of(dir, origin).await;
    assert!(world.at("sub").is_dir());
    assert_eq!(paths(&world.collect(&[])), Vec::<&str>::new());
    write(&world.at("sub/x"), "x");
    assert_eq!(World::refusals(&world.collect(&[])), [("sub", RefusalReason::InSubmodule)]);
    fs::remove_dir_all(world.at("sub")).unwrap();
    let changeset = world.collect(&[]);
    assert_eq!(paths(&changeset), ["sub"]);
    world.commit_all(&changeset);
}
