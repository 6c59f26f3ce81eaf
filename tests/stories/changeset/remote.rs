//! Fetching and pushing: over HTTP with a token, and within this machine.

use std::fs;
use std::path::PathBuf;

use codex_brief::run::changeset::CommitId;
use codex_brief::run::mirror::{Mirror, Mirrors, PushOutcome, Remote};
use secrecy::SecretString;

use super::git_http::GitHttp;
use super::world::{World, git, holds, write};

const TOKEN: &str = "ghs_canary.with-three.parts";

struct Served {
    world: World,
    http: GitHttp,
    bare: PathBuf,
    mirror: Mirror,
    remote: Remote,
    token: SecretString,
}

async fn served() -> Served {
    let world = World::with(&[("a", "1\n")]).await;
    let root = world.dir.path().join("served");
    fs::create_dir(&root).unwrap();
    let bare = root.join("r.git");
    git(&world.origin, &["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    git(&bare, &["config", "http.receivepack", "true"]);
    let http = GitHttp::serve(&root, TOKEN).await;
    let remote = Remote::http(&http.url("r.git")).unwrap();
    let mirror = Mirror::at(&world.dir.path().join("mirrors/2.git")).unwrap();
    Served { world, http, bare, mirror, remote, token: TOKEN.into() }
}

impl Served {
    async fn fetch(&self) {
        self.mirror.fetch(&self.remote, Some(&self.token)).await.unwrap();
    }

    async fn push(&self, commit: CommitId, branch: &str) -> PushOutcome {
        self.mirror.push(&self.remote, Some(&self.token), commit, branch).await.unwrap()
    }

    /// Commits a change of `a` in the mirror.
    fn commit(&self, content: &str) -> CommitId {
        let repository = self.mirror.repository().unwrap();
        let blob = repository.blob(content.as_bytes()).unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        tree.insert("a", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let author = git2::Signature::new("octo", "octo@example.com", &git2::Time::new(1, 0)).unwrap();
        let base = repository.find_commit(self.world.base.oid()).unwrap();
        repository.commit(None, &author, &author, "x", &tree, &[&base]).unwrap().into()
    }
}

#[tokio::test]
async fn branches_come_and_go_with_the_remote() {
    let served = served().await;
    git(&served.bare, &["branch", "old/one", "main"]);
    git(&served.bare, &["tag", "v1"]);
    served.fetch().await;
    assert_eq!(served.mirror.resolve_branch("main").unwrap(), Some(served.world.base));
    assert!(served.mirror.resolve_branch("old/one").unwrap().is_some());
    assert_eq!(git(served.mirror.path(), &["tag"]), "");
    git(&served.bare, &["branch", "-D", "old/one"]);
    git(&served.bare, &["branch", "old", "main"]);
    // A killed git leaves its locks.
    write(&served.mirror.path().join("packed-refs.lock"), "");
    write(&served.mirror.path().join("refs/heads/main.lock"), "");
    served.fetch().await;
    assert_eq!(served.mirror.resolve_branch("old/one").unwrap(), None);
    assert!(served.mirror.resolve_branch("old").unwrap().is_some());
    for text in ["", "-x", "a..b", "../main", "main\0", "refs/heads/main"] {
        assert_eq!(served.mirror.resolve_branch(text).unwrap(), None, "{text:?}");
    }
}

#[tokio::test]
async fn the_token_is_neither_in_arguments_nor_on_the_disk() {
    let served = served().await;
    served.fetch().await;
    assert_eq!(served.push(served.commit("2\n"), "codex-brief/1").await, PushOutcome::Pushed);
    let (requests, seen) = served.http.report();
    assert!(requests >= 4, "the token opened the door {requests} times");
    assert_eq!(seen, Vec::<String>::new());
    let mirrors = served.world.dir.path().join("mirrors");
    for part in ["ghs_canary", "x-access-token", "Authorization"] {
        assert!(!holds(&mirrors, part.as_bytes()), "{part} is on the disk");
    }
}

#[tokio::test]
async fn a_wrong_token_is_an_error_that_does_not_tell_it() {
    let served = served().await;
    let wrong = SecretString::from("ghs_wrong.canary");
    let error = served.mirror.fetch(&served.remote, Some(&wrong)).await.unwrap_err().to_string();
    assert!(error.starts_with("git fetch failed") && !error.contains("ghs_wrong"), "{error}");
    let error = served.mirror.fetch(&served.remote, None).await.unwrap_err().to_string();
    assert!(error.contains("terminal prompts disabled"), "{error}");
}

#[tokio::test]
async fn a_push_is_safe_to_repeat_and_never_moves_a_branch() {
    let served = served().await;
    served.fetch().await;
    let (one, two) = (served.commit("2\n"), served.commit("3\n"));
    assert_eq!(served.push(one, "codex-brief/1").await, PushOutcome::Pushed);
    assert_eq!(served.push(one, "codex-brief/1").await, PushOutcome::AlreadyThere);
    let conflict = PushOutcome::Conflict { found: one.to_string() };
    assert_eq!(served.push(two, "codex-brief/1").await, conflict);
    assert_eq!(git(&served.bare, &["rev-parse", "codex-brief/1"]), one.to_string());
    // Another branch whose name only ends the same is not in the way.
    git(&served.bare, &["update-ref", "refs/heads/x/refs/heads/codex-brief/2", &one.to_string()]);
    assert_eq!(served.push(two, "codex-brief/2").await, PushOutcome::Pushed);
    for branch in ["-x", "a b", "a:b", ""] {
        let error = served.mirror.push(&served.remote, Some(&served.token), one, branch).await.unwrap_err();
        assert!(error.to_string().contains("is no branch name"), "{error}");
    }
}

#[tokio::test]
async fn a_branch_that_appears_at_the_last_moment_is_left_alone() {
    let served = served().await;
    served.fetch().await;
    let (bare, base) = (served.bare.clone(), served.world.base.to_string());
    // The commit would be a fast-forward of it, which an ordinary push takes.
    served.http.before_push(move || drop(git(&bare, &["branch", "codex-brief/1", "main"])));
    let outcome = served.push(served.commit("2\n"), "codex-brief/1").await;
    assert_eq!(outcome, PushOutcome::Conflict { found: base.clone() });
    assert_eq!(git(&served.bare, &["rev-parse", "codex-brief/1"]), base);
}

#[tokio::test]
async fn a_push_whose_answer_was_lost_is_found_again() {
    let served = served().await;
    served.fetch().await;
    served.http.lose_answer();
    assert_eq!(served.push(served.commit("2\n"), "codex-brief/1").await, PushOutcome::Pushed);
}

#[tokio::test]
async fn a_remote_that_refuses_says_why() {
    let served = served().await;
    served.fetch().await;
    let hook = served.bare.join("hooks/pre-receive");
    write(&hook, "#!/bin/sh\necho 'GH013: rule violations' >&2\nexit 1\n");
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = served.push(served.commit("2\n"), "codex-brief/1").await;
    let PushOutcome::Rejected { reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!(reason, "[remote rejected] (pre-receive hook declined) GH013: rule violations");
}

#[tokio::test]
async fn a_local_repository_gets_its_branch_and_runs_no_hook() {
    let world = World::with(&[("a", "1\n")]).await;
    let mark = world.dir.path().join("mark");
    for hook in ["pre-receive", "update", "post-receive", "reference-transaction", "post-update"] {
        let path = world.origin.join(".git/hooks").join(hook);
        write(&path, format!("#!/bin/sh\ntouch {}\n", mark.display()));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let remote = Remote::local(&world.origin).unwrap();
    write(&world.at("dir/new"), "x\n");
    let commit = world.commit_all(&world.collect(&[]));
    let push = || world.mirror.push(&remote, None, commit, "codex-brief/1");
    assert_eq!(push().await.unwrap(), PushOutcome::Pushed);
    assert_eq!(push().await.unwrap(), PushOutcome::AlreadyThere);
    assert_eq!(git(&world.origin, &["show", "codex-brief/1:dir/new"]), "x");
    git(&world.origin, &["fsck", "--strict"]);
    let other = world.mirror.push(&remote, None, world.base, "codex-brief/1").await.unwrap();
    assert_eq!(other, PushOutcome::Conflict { found: commit.to_string() });
    let under = world.mirror.push(&remote, None, commit, "codex-brief/1/2").await.unwrap();
    assert!(matches!(under, PushOutcome::Rejected { .. }), "{under:?}");
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_shallow_local_clone_serves_too() {
    let world = World::with(&[("a", "1\n")]).await;
    write(&world.origin.join("a"), "2\n");
    git(&world.origin, &["commit", "-q", "-a", "-m", "second"]);
    let shallow = world.dir.path().join("shallow");
    let from = format!("file://{}", world.origin.display());
    git(world.dir.path(), &["clone", "-q", "--depth=1", &from, shallow.to_str().unwrap()]);
    let World { dir, .. } = world;
    fs::remove_dir_all(dir.path().join("runs")).unwrap();
    fs::remove_dir_all(dir.path().join("mirrors")).unwrap();
    let world = World::of(dir, shallow).await;
    write(&world.at(".git/objects/info/alternates"), format!("{}\n", world.mirror.objects_path().display()));
    assert_eq!(git(&world.dirs.checkout, &["log", "--format=%s"]), "second");
}

#[tokio::test]
async fn fetches_of_one_repository_wait_for_each_other() {
    let served = served().await;
    let mirrors = Mirrors::open(served.world.dir.path().join("shared")).unwrap();
    let (one, same) = (mirrors.mirror(7).unwrap(), mirrors.mirror(7).unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &same));
    let fetch = || one.fetch(&served.remote, Some(&served.token));
    let (a, b, c, d) = tokio::join!(fetch(), fetch(), fetch(), fetch());
    for result in [a, b, c, d] {
        result.unwrap();
    }
    assert!(one.resolve_branch("main").unwrap().is_some());
}

#[test]
fn addresses_that_could_hold_more_than_an_address_are_refused() {
    for url in [
        "git@github.example:o/r",
        "ssh://github.example/o/r",
        "file:///etc",
        "ext::sh -c id",
        "https://user:pass@github.example/o/r",
        "https:///r",
        "https://github.example/o/r\n",
        "--upload-pack=id",
        "",
    ] {
        assert!(Remote::http(url).is_err(), "{url:?}");
    }
    assert!(Remote::http("https://github.example/octo/example.git").is_ok());
}
