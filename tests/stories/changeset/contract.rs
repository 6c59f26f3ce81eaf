//! The output contract beyond the declared paths: what is protected, how much is taken, and of what kind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use codex_brief::config::{LaneConfig, Taken};
use codex_brief::judge::output_contract::judge;
use codex_brief::publish::diff;
use codex_brief::run::changeset::{Exceeded, FileMode, RefusalReason};

use super::world::{World, git, owned, paths, write};

fn lane(change: impl FnOnce(&mut LaneConfig)) -> LaneConfig {
    let mut lane = LaneConfig::named("devbox-codex");
    change(&mut lane);
    lane
}

#[tokio::test]
async fn what_rules_the_repository_is_shown_and_refused() {
    let world = World::with(&[("docs/CODEOWNERS", "* @octo\n"), ("deploy/a", "1\n"), ("b", "1\n")]).await;
    write(&world.at("docs/CODEOWNERS"), "* @mallory\n");
    write(&world.at("deep/.GitAttributes"), "* -diff\n");
    write(&world.at(".gitmodules"), "[submodule \"x\"]\n\tpath = x\n\turl = ../x\n");
    write(&world.at(".github/actions/build/action.yml"), "runs: {}\n");
    write(&world.at(".github/codex-brief.toml"), "");
    // A folder that is protected stays so when it is replaced whole.
    fs::remove_dir_all(world.at("deploy")).unwrap();
    symlink("b", world.at("deploy")).unwrap();
    write(&world.at("b"), "2\n");
    let protected = |path| (path, RefusalReason::Protected);
    let lane = lane(|lane| lane.protected_paths = owned(&["Deploy/**"]));
    let changeset = world.collect_as(&["b"], &lane);
    let expected = [
        ".github/actions/build/action.yml",
        ".github/codex-brief.toml",
        ".gitmodules",
        "deep/.GitAttributes",
        "deploy",
        "deploy/a",
        "docs/CODEOWNERS",
    ];
    assert_eq!(World::refusals(&changeset), expected.map(protected));
    assert!(expected.iter().all(|path| paths(&changeset).contains(path)), "they are shown: {changeset:?}");
    assert_eq!(judge(&owned(&["b"]), &changeset).problems()[0].code, "protected-paths");
    let declared = paths(&changeset);
    let error = world.commit(&changeset, &declared).unwrap_err().to_string();
    assert!(error.contains("is protected"), "{error}");
}

#[tokio::test]
async fn a_lane_that_takes_no_binaries_and_no_links_says_so() {
    let world = World::with(&[("old.bin", "a\0b"), ("to", "1\n")]).await;
    let mut late = vec![b'x'; 8_001];
    late[8_000] = 0;
    for (name, content) in [("bin", b"a\0b".as_slice()), ("late", &late), ("text", "é\n".as_bytes())] {
        write(&world.at(name), content);
    }
    symlink("to", world.at("link")).unwrap();
    fs::remove_file(world.at("old.bin")).unwrap();
    let changed = ["bin", "late", "link", "old.bin", "text"];
    let changeset = world.collect_as(&changed, &lane(|_| {}));
    assert!(judge(&owned(&changed), &changeset).is_ok(), "{changeset:?}");
    let strict = lane(|lane| (lane.binaries, lane.links) = (Taken::Refuse, Taken::Refuse));
    let changeset = world.collect_as(&changed, &strict);
    assert_eq!(paths(&changeset), changed);
    let refused = [("bin", RefusalReason::Binary), ("link", RefusalReason::LinkNotTaken)];
    assert_eq!(World::refusals(&changeset), refused);
    let problem = judge(&owned(&changed), &changeset).problem().unwrap();
    assert_eq!(problem.code, "not-taken-by-lane");
    assert!(problem.message.contains("`binaries`") && problem.message.contains("`links`"), "{problem:?}");
}

#[tokio::test]
async fn a_file_of_5_gb_is_named_and_nothing_of_it_is_read() {
    let world = World::with(&[("a", "1\n")]).await;
    fs::File::create(world.at("huge")).unwrap().set_len(5 << 30).unwrap();
    write(&world.at("a"), "2\n");
    let changeset = world.collect_as(&["a"], &lane(|_| {}));
    assert_eq!(World::refusals(&changeset), [("huge", RefusalReason::TooLarge)]);
    assert_eq!((paths(&changeset), changeset.exceeded), (vec!["a"], None));
    let problem = judge(&owned(&["a"]), &changeset).problem().unwrap();
    assert!(
        problem.message.contains("\"huge\" is larger") && problem.message.contains("`changed_file_bytes`")
    );
}

#[tokio::test]
async fn ten_thousand_files_are_more_than_a_run_may_change() {
    let world = World::with(&[("a", "1\n")]).await;
    for n in 0..10_000 {
        write(&world.at(&format!("d{}/f{n}", n % 10)), "x");
    }
    let changeset = world.collect_as(&[], &lane(|_| {}));
    assert_eq!((changeset.entries.len(), changeset.exceeded), (1_000, Some(Exceeded::Files(1_000))));
    let problem = judge(&[], &changeset).problem().unwrap();
    assert_eq!(problem.code, "too-many-changes");
    assert!(problem.message.contains("1000 paths"), "{problem:?}");
}

#[tokio::test]
async fn modes_and_targets_are_shown() {
    let world = World::with(&[("run.sh", "x\n"), ("a", "1\n")]).await;
    fs::set_permissions(world.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    write(&world.at("new.sh"), "x\n");
    fs::set_permissions(world.at("new.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a", world.at("link")).unwrap();
    let changeset = world.collect(&[]);
    let repository = world.mirror.repository().unwrap();
    let shown = diff::summarize(&repository, &world.blobs, &changeset, &[], 1 << 20).unwrap();
    let told = shown.changes.iter().map(|change| (change.path.as_str(), change.old_mode, change.new_mode));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("link", None, Some(FileMode::Symlink)),
            ("new.sh", None, Some(FileMode::Executable)),
            ("run.sh", Some(FileMode::Regular), Some(FileMode::Executable)),
        ]
    );
    assert_eq!(shown.changes[0].link.as_deref(), Some("a"));
}

#[tokio::test]
async fn planted_submodules_and_alternates_bring_nothing_in() {
    let world = World::with(&[("a", "1\n")]).await;
    let elsewhere = world.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    git(&elsewhere, &["init", "-q"]);
    write(&elsewhere.join("secret"), "canary-of-another-repository");
    let secret = git(&elsewhere, &["hash-object", "-w", "secret"]);
    let objects = elsewhere.join(".git/objects");
    write(&world.at(".git/objects/info/alternates"), format!("{}\n", objects.display()));
    write(&world.at("sub/.git"), format!("gitdir: {}\n", elsewhere.join(".git").display()));
    write(&world.at("sub/file"), "x\n");
    write(&world.at("report.md"), "x\n");
    let changeset = world.collect(&["report.md"]);
    assert_eq!(World::refusals(&changeset), [("sub/.git", RefusalReason::GitName)]);
    assert_eq!(paths(&changeset), ["report.md", "sub/file"]);
    let commit = world.commit_all(&changeset).to_string();
    assert!(
        world.mirror_git(&["ls-tree", "-r", &commit]).lines().all(|line| line.starts_with("100644 blob"))
    );
    assert!(
        world
            .mirror_git(&["cat-file", "--batch-all-objects", "--batch-check"])
            .lines()
            .all(|line| !line.starts_with(&secret))
    );
}
