//! `make demo`, as a visitor sees it.

use std::path::Path;
use std::process::Command;

#[test]
fn the_demo_kills_its_server_in_mid_step_and_still_ends_with_one_pull_request_and_one_comment() {
    // Of the whole workspace, as `make test` has built it, so that it is built just once.
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.args(["build", "--locked", "--quiet", "--workspace", "--example", "demo"]);
    assert!(build.status().unwrap().success());
    let server = Path::new(env!("CARGO_BIN_EXE_codex-brief"));
    let mut demo = Command::new(server.with_file_name("examples").join("demo"));
    let out = demo.args(["--once", "--crash", "--server"]).arg(server).output().unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}\n{}", String::from_utf8_lossy(&out.stderr));
    let mut rest: &str = &told;
    let story = ["kill -9", "The server is dead (signal: 9", "why=\"the server ended\"", "It serves again"];
    let end = ["state=\"done\"", "\u{2501} The pull request", "still one pull request, and one comment"];
    for text in story.into_iter().chain(end) {
        let at = rest.find(text).unwrap_or_else(|| panic!("`{text}` does not follow in:\n{told}"));
        rest = &rest[at..];
    }
}
