//! Whatever steps do with ordinary files, the changeset gives the very tree that git would commit.

use std::cell::{Cell, RefCell};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::world::{World, git};

#[derive(Debug, Clone)]
enum Operation {
    Write(String, String),
    Remove(String),
    Execute(String, bool),
    Link(String, String),
    Rename(String, String),
    Folder(String),
}

fn path() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c", "x.log", "keep.log", "build", "é d", "-o"]);
    let inside = prop::bool::weighted(0.3);
    (inside, prop::collection::vec(name, 1..4)).prop_map(|(inside, names)| {
        let path = names.join("/");
        if inside { format!("fixed/{path}") } else { path }
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    // A link to a name of its own, so that no link leads through another.
    let target = prop::sample::select(vec!["t", "a", "keep.log"]);
    prop_oneof![
        4 => (path(), "[a-c\n\r]{0,6}").prop_map(|(path, text)| Operation::Write(path, text)),
        3 => path().prop_map(Operation::Remove),
        2 => (path(), any::<bool>()).prop_map(|(path, on)| Operation::Execute(path, on)),
        2 => (path(), target).prop_map(|(path, target)| Operation::Link(path, target.into())),
        3 => (path(), path()).prop_map(|(from, to)| Operation::Rename(from, to)),
        1 => path().prop_map(Operation::Folder),
    ]
}

/// Does what can be done; what cannot, such as writing below a file, is left out.
fn apply(root: &Path, operation: &Operation) {
    let at = |path: &String| root.join(path);
    let parent = |path: &String| at(path).parent().map(fs::create_dir_all);
    let _ = match operation {
        Operation::Write(path, text) => {
            parent(path);
            fs::write(at(path), text)
        }
        Operation::Remove(path) => fs::remove_file(at(path)).or_else(|_| fs::remove_dir_all(at(path))),
        Operation::Execute(path, on) => {
            let mode = if *on { 0o755 } else { 0o644 };
            fs::metadata(at(path))
                .and_then(
                    |file| if file.is_file() { Ok(()) } else { Err(std::io::ErrorKind::IsADirectory.into()) },
                )
                .and_then(|()| fs::set_permissions(at(path), fs::Permissions::from_mode(mode)))
        }
        Operation::Link(path, target) => {
            parent(path);
            symlink(target, at(path))
        }
        Operation::Rename(from, to) => {
            parent(to);
            fs::rename(at(from), at(to))
        }
        Operation::Folder(path) => fs::create_dir_all(at(path)),
    };
}

/// Lets git itself say what the tree is, in a copy.
fn tree_by_git(world: &World) -> String {
    let copy = world.dir.path().join("copy");
    let _ = fs::remove_dir_all(&copy);
    let status = Command::new("cp").arg("-a").arg(&world.dirs.checkout).arg(&copy).status().unwrap();
    assert!(status.success());
    let objects = format!("{}\n", world.mirror.objects_path().display());
    fs::write(copy.join(".git/objects/info/alternates"), objects).unwrap();
    git(&copy, &["add", "-A"]);
    git(&copy, &["write-tree"])
}

fn tree_by_changeset(world: &World) -> String {
    let changeset = world.collect(&[]);
    assert_eq!(changeset.refused, []);
    assert_eq!(changeset.exceeded, None);
    let commit = if changeset.entries.is_empty() { world.base } else { world.commit_all(&changeset) };
    world.mirror_git(&["rev-parse", &format!("{commit}^{{tree}}")])
}

#[test]
fn any_ordinary_changes_give_the_tree_that_git_would_commit() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = RefCell::new(runtime.block_on(World::with(&[
        (".gitignore", "*.log\n!keep.log\nbuild/\n/c/b\n"),
        ("fixed/.gitignore", "a\n!x.log\n/b/c\n"),
        ("fixed/a/kept", "1"),
        ("a/b/c", "1"),
        ("a/c", "2"),
        ("b", "3"),
        ("build/tracked", "4"),
        ("c/b/a", "5"),
        ("x.log", "6"),
        ("é d/a", "7"),
    ])));
    let run = Cell::new(0);
    let config = Config { cases: 60, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let cases = TestRunner::new(config).run(&prop::collection::vec(operation(), 1..25), |operations| {
        let mut world = world.borrow_mut();
        run.set(run.get() + 1);
        runtime.block_on(world.another_run(&format!("case-{}", run.get())));
        for operation in &operations {
            apply(&world.dirs.checkout, operation);
        }
        prop_assert_eq!(tree_by_changeset(&world), tree_by_git(&world));
        world.dirs.remove().unwrap();
        Ok(())
    });
    cases.unwrap();
}
