//! What hostile steps leave behind, and what must not come of it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use codex_brief::config::LaneConfig;
use codex_brief::judge::output_contract::judge;
use codex_brief::publish::diff;
use codex_brief::run::changeset::RefusalReason;
use codex_brief::run::mirror::{PushOutcome, Remote};
use nix::sys::stat::Mode;

use super::world::{World, git, owned, paths, write};

const SECRET: &str = "canary-outside-of-the-checkout";

#[tokio::test]
async fn a_declared_link_to_a_secret_is_refused_and_the_secret_is_not_read() {
    let world = World::with(&[("report.md", "old\n"), ("dir/f", "f\n")]).await;
    let secret = world.dir.path().join("secret");
    write(&secret, SECRET);
    fs::remove_file(world.at("report.md")).unwrap();
    symlink("/etc/passwd", world.at("report.md")).unwrap();
    symlink(&secret, world.at("other.md")).unwrap();
    symlink("../../../secret", world.at("climbing")).unwrap();
    symlink(".git/config", world.at("settings")).unwrap();
    // A folder that became a link: its files are gone, and nothing behind it is looked at.
    fs::remove_dir_all(world.at("dir")).unwrap();
    write(&world.dir.path().join("outside/f"), SECRET);
    symlink(world.dir.path().join("outside"), world.at("dir")).unwrap();
    let declared = ["report.md", "other.md", "dir/f"];
    let changeset = world.collect(&declared);
    assert_eq!(
        World::refusals(&changeset),
        [
            ("climbing", RefusalReason::EscapingSymlink),
            ("dir", RefusalReason::AbsoluteSymlink),
            ("other.md", RefusalReason::AbsoluteSymlink),
            ("report.md", RefusalReason::AbsoluteSymlink),
            ("settings", RefusalReason::SymlinkIntoGit),
        ]
    );
    assert_eq!(paths(&changeset), ["dir/f"]);
    assert!(!world.blobs_hold(SECRET) && !world.blobs_hold("root:"));
    assert_eq!(judge(&owned(&declared), &changeset).problem().unwrap().code, "refused-files");
}

#[tokio::test]
async fn links_that_leave_together_are_refused() {
    let world = World::with(&[("a/f", "1\n")]).await;
    symlink("..", world.at("a/up")).unwrap();
    symlink("a/up/x", world.at("through")).unwrap();
    symlink("a/up/../../etc", world.at("out")).unwrap();
    let changeset = world.collect(&[]);
    assert_eq!(
        World::refusals(&changeset),
        [("out", RefusalReason::SymlinkTarget), ("through", RefusalReason::SymlinkThroughSymlink)]
    );
}

#[tokio::test]
async fn a_hard_link_to_a_file_outside_is_refused() {
    let world = World::with(&[("a", "1\n")]).await;
    let secret = world.dir.path().join("secret");
    write(&secret, SECRET);
    fs::hard_link(&secret, world.at("mine")).unwrap();
    fs::hard_link(world.at("a"), world.dir.path().join("second-name-of-an-unchanged-file")).unwrap();
    // Two names of one new file are no better: who knows that there is no third.
    write(&world.at("one"), "x");
    fs::hard_link(world.at("one"), world.at("two")).unwrap();
    let changeset = world.collect(&["mine"]);
    let refused = ["mine", "one", "two"].map(|path| (path, RefusalReason::HardLink));
    assert_eq!(World::refusals(&changeset), refused);
    assert!(!world.blobs_hold(SECRET));
}

#[tokio::test]
async fn what_is_no_file_is_refused_and_stops_nothing() {
    let world = World::with(&[("a", "1\n"), ("b", "1\n")]).await;
    for name in ["pipe", "b"] {
        let _ = fs::remove_file(world.at(name));
        nix::unistd::mkfifo(&world.at(name), Mode::S_IRWXU).unwrap();
    }
    let _listener = UnixListener::bind(world.at("socket")).unwrap();
    write(&world.at("suid"), "x");
    fs::set_permissions(world.at("suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    let mut expected = vec![
        ("b", RefusalReason::Fifo),
        ("pipe", RefusalReason::Fifo),
        ("socket", RefusalReason::Socket),
        ("suid", RefusalReason::SetId),
    ];
    if nix::unistd::geteuid().is_root() {
        let device = nix::sys::stat::makedev(0, 0);
        nix::sys::stat::mknod(&world.at("device"), nix::sys::stat::SFlag::S_IFCHR, Mode::S_IRWXU, device)
            .unwrap();
        expected.insert(1, ("device", RefusalReason::Device));
    } else {
        eprintln!("not root: no device is made, so that one is not tried");
        write(&world.at("z"), "x");
        fs::set_permissions(world.at("z"), fs::Permissions::from_mode(0o000)).unwrap();
        expected.push(("z", RefusalReason::Unreadable));
    }
    assert_eq!(World::refusals(&world.collect(&["pipe"])), expected);
}

#[tokio::test]
async fn names_of_git_and_names_that_lie_are_refused() {
    let world = World::with(&[("a/f", "1\n")]).await;
    for path in ["a/.git/config", ".GIT/config", "a/git~1/x", "b\\c", "n\nl", "a/.git."] {
        write(&world.at(path), "x");
    }
    write(&world.dirs.checkout.join(std::ffi::OsStr::from_bytes(b"\xff")), "x");
    let deep = world.dirs.checkout.join("d/".repeat(150));
    fs::create_dir_all(deep).unwrap();
    let changeset = world.collect(&[]);
    assert_eq!(
        World::refusals(&changeset),
        [
            (".GIT", RefusalReason::GitName),
            ("\\xff", RefusalReason::NameNotUtf8),
            ("a/.git", RefusalReason::GitName),
            ("a/.git.", RefusalReason::GitName),
            ("a/git~1", RefusalReason::GitName),
            ("b\\c", RefusalReason::NameCharacters),
            (["d"; 102].join("/").as_str(), RefusalReason::PathTooLong),
            ("n\\u{a}l", RefusalReason::NameCharacters),
        ]
    );
    assert_eq!(paths(&changeset), Vec::<&str>::new());
}

/// Plants everything that would make git run a program, in the checkout and as attributes.
fn plant(world: &World, mark: &Path) {
    let command = format!("touch {}", mark.display());
    for hook in [
        "pre-commit",
        "post-checkout",
        "pre-push",
        "post-index-change",
        "reference-transaction",
        "post-commit",
    ] {
        let path = world.at(".git/hooks").join(hook);
        write(&path, format!("#!/bin/sh\n{command}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = format!(
        "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = \"{command}; false\"\n\tsshCommand = {command}\n\
         \teditor = {command}\n\tpager = {command}\n[filter \"mark\"]\n\tclean = {command}\n\tsmudge = {command}\n\
         \trequired = true\n[diff \"mark\"]\n\ttextconv = {command}\n\tcommand = {command}\n\
         [credential]\n\thelper = \"!{command}\"\n[alias]\n\tpush = \"!{command}\"\n"
    );
    write(&world.at(".git/config"), config);
    write(&world.at(".gitattributes"), "* filter=mark diff=mark\n");
    write(&world.at(".git/info/attributes"), "* filter=mark diff=mark\n");
}

#[tokio::test]
async fn planted_hooks_monitors_and_filters_never_run() {
    let world = World::with(&[("a", "1\n")]).await;
    let mark = world.dir.path().join("mark");
    plant(&world, &mark);
    write(&world.at("report.md"), "x\n");
    let declared = [".gitattributes", "report.md"];
    let mut lane = LaneConfig::named("devbox-codex");
    lane.allow_protected = owned(&[".gitattributes"]);
    let changeset = world.collect_as(&declared, &lane);
    let commit = world.commit_as(&changeset, &declared, &lane).unwrap();
    diff::patch(&world.mirror.repository().unwrap(), &world.blobs, &changeset).unwrap();
    let remote = Remote::local(&world.origin).unwrap();
    let pushed = world.mirror.push(&remote, None, commit, "codex-brief/1-x").await.unwrap();
    assert_eq!(pushed, PushOutcome::Pushed);
    world.mirror.fetch(&remote, None).await.unwrap();
    world.dirs.remove().unwrap();
    assert!(!mark.exists(), "something planted was run");
}

#[tokio::test]
async fn what_is_planted_would_run_if_git_were_asked() {
    let world = World::with(&[("a", "1\n")]).await;
    let mark = world.dir.path().join("mark");
    plant(&world, &mark);
    let objects = format!("{}\n", world.mirror.objects_path().display());
    write(&world.at(".git/objects/info/alternates"), objects);
    git(&world.dirs.checkout, &["status"]);
    assert!(mark.exists(), "the story above proves nothing");
}

#[tokio::test]
async fn a_folder_swapped_for_a_link_while_it_is_collected_gives_nothing_away() {
    let world = World::with(&[("a", "1\n")]).await;
    let outside = world.dir.path().join("outside");
    for n in 0..20 {
        write(&outside.join(format!("f{n}")), format!("{SECRET} {n}"));
        write(&world.at(&format!("dir/f{n}")), "mine");
    }
    symlink(&outside, world.at("other")).unwrap();
    let stop = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(3);
    let (mut as_folder, mut as_link) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (dir, other) = (world.at("dir"), world.at("other"));
            let here = fs::File::open(&world.dirs.checkout).unwrap();
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(&here, &dir, &here, &other, exchange).unwrap();
            }
        });
        while Instant::now() < deadline && (as_folder < 20 || as_link < 20) {
            let changeset = world.collect(&[]);
            as_folder += usize::from(paths(&changeset).contains(&"dir/f7"));
            as_link += usize::from(World::refusals(&changeset).iter().any(|(path, _)| *path == "dir"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(as_folder > 0 && as_link > 0, "both were seen: {as_folder} {as_link}");
    assert!(!world.blobs_hold(SECRET));
}

#[tokio::test]
async fn a_file_swapped_for_a_link_while_it_is_collected_gives_nothing_away() {
    let world = World::with(&[("a", "1\n")]).await;
    let secret = world.dir.path().join("secret");
    write(&secret, SECRET);
    write(&world.at("one"), "mine");
    symlink(&secret, world.at("two")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let here = fs::File::open(&world.dirs.checkout).unwrap();
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(&here, "one", &here, "two", rustix::fs::RenameFlags::EXCHANGE)
                    .unwrap();
            }
        });
        for _ in 0..300 {
            world.collect(&["one", "two"]);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(!world.blobs_hold(SECRET));
}

#[tokio::test]
async fn a_parent_folder_that_moves_away_while_it_is_collected_gives_nothing_away() {
    let world = World::with(&[("a", "1\n")]).await;
    let outside = world.dir.path().join("outside");
    for n in 0..20 {
        write(&outside.join(format!("in/deep/f{n}")), format!("{SECRET} {n}"));
        write(&world.at(&format!("top/in/deep/f{n}")), "mine");
    }
    symlink(outside.join("in"), world.at("top/other")).unwrap();
    let stop = AtomicBool::new(false);
    let deadline = Instant::now() + Duration::from_secs(3);
    let (mut seen, mut rounds) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let here = fs::File::open(world.at("top")).unwrap();
            let (exchange, away) = (rustix::fs::RenameFlags::EXCHANGE, world.dir.path().join("away"));
            while !stop.load(Ordering::Relaxed) {
                // Out of the checkout, a link in its place, and all of it back.
                rustix::fs::renameat(&here, "in", rustix::fs::CWD, &away).unwrap();
                rustix::fs::renameat(&here, "other", &here, "in").unwrap();
                rustix::fs::renameat(rustix::fs::CWD, &away, &here, "other").unwrap();
                rustix::fs::renameat_with(&here, "in", &here, "other", exchange).unwrap();
            }
        });
        while Instant::now() < deadline && (seen < 10 || rounds < 100) {
            seen += usize::from(paths(&world.collect(&[])).iter().any(|path| path.ends_with("deep/f7")));
            rounds += 1;
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(seen > 0, "the folder was seen in {rounds} rounds");
    assert!(!world.blobs_hold(SECRET));
}

#[tokio::test]
async fn a_file_that_grows_while_it_is_read_is_refused_or_whole() {
    let world = World::with(&[("a", "1\n")]).await;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let mut file = fs::File::create(world.at("growing")).unwrap();
                for _ in 0..200 {
                    std::io::Write::write_all(&mut file, &[b'x'; 1_000]).unwrap();
                }
            }
        });
        for _ in 0..300 {
            let changeset = world.collect_within(&[], 9, 1 << 20);
            for change in changeset.entries.iter().filter(|change| change.path == "growing") {
                let content = world.blobs.get(&change.blob.unwrap(), 1 << 20).unwrap();
                assert_eq!(content.len() as u64, change.size);
            }
            assert!(changeset.refused.iter().all(|refusal| refusal.reason == RefusalReason::Unstable));
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[tokio::test]
async fn a_file_swapped_for_a_pipe_while_it_is_collected_stops_nothing() {
    let world = World::with(&[("a", "1\n")]).await;
    write(&world.at("one"), "mine");
    nix::unistd::mkfifo(&world.at("two"), Mode::S_IRWXU).unwrap();
    const LONGEST: Duration = Duration::from_secs(60);
    let (end, finished) = mpsc::channel::<()>();
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let here = fs::File::open(&world.dirs.checkout).unwrap();
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(&here, "one", &here, "two", rustix::fs::RenameFlags::EXCHANGE)
                    .unwrap();
            }
        });
        let world = &world;
        scope.spawn(move || {
            // Whoever waits at the pipe is let go, so that the story ends red and not never.
            while finished.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                for name in ["one", "two"] {
                    drop(fs::File::options().read(true).write(true).open(world.at(name)));
                }
            }
        });
        for _ in 0..300 {
            world.collect(&["one", "two"]);
            if began.elapsed() > LONGEST {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        drop(end);
    });
    assert!(began.elapsed() < LONGEST, "the collection waited at a pipe");
}
