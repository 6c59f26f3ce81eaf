//! Holds the docs to the code: every code that a user can meet is explained, every code that the docs
//! name exists, and every test that `docs/security.md` names is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml lets off only #[test] functions

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{REPO, Town, brief};

const MESSAGES: &str = "docs/messages.md";
const REFERENCE: &str = "docs/brief-reference.md";
const SECURITY: &str = "docs/security.md";

/// What is written before a code, up to its opening quote and without spaces. The first two must have
/// a code or the name of one behind them; the others are also used for other texts.
const BEFORE: [&str; 6] = ["UserError::new(", "UserError{code:", "problem(", "refused(", "refuse(", "code:"];
const STRICT: usize = 2;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns every Rust file below `folder` as its path from the repository's root and its content.
fn rust_files(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut files) = (vec![root.join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    files
}

/// Returns the code without its tests and comments.
fn without_tests(file: &Path, text: &str) -> String {
    if file.ends_with("tests.rs") || file.iter().any(|part| part == "tests") {
        return String::new();
    }
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_code(text: &str) -> bool {
    let fits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    text.contains('-') && text.split('-').all(fits)
}

/// Returns the codes in a piece of Rust, and the strict places behind which none could be read.
fn codes_in(rust: &str) -> (BTreeSet<String>, Vec<String>) {
    let (mut codes, mut unread) = (BTreeSet::new(), Vec::new());
    let packed = rust.split_whitespace().collect::<Vec<_>>().join(" ");
    let packed = packed.replace("( ", "(").replace(": ", ":").replace(" {", "{").replace("{ ", "{");
    for (at, before) in BEFORE.iter().enumerate() {
        for behind in packed.split(before).skip(1) {
            match behind.strip_prefix('"').and_then(|behind| behind.split('"').next()) {
                Some(text) if is_code(text) => drop(codes.insert(text.to_owned())),
                _ if behind.starts_with("code") || at >= STRICT => {}
                _ => unread.push(format!("{before}{}", behind.chars().take(40).collect::<String>())),
            }
        }
    }
    // The diagnostics' own table: `NAME = "brief-…";`.
    for behind in packed.split("= \"brief-").skip(1) {
        codes.insert(format!("brief-{}", behind.split('"').next().unwrap_or_default()));
    }
    (codes, unread)
}

/// Returns the codes of the source, each with the files that hold it.
fn codes_of_the_source() -> BTreeMap<String, BTreeSet<PathBuf>> {
    let mut all: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for (file, text) in rust_files("src") {
        let (codes, unread) = codes_in(&without_tests(&file, &text));
        assert!(
            unread.is_empty(),
            "{}: write the code as a literal, or hand it in as `code`, so that this test finds it: {unread:?}",
            file.display()
        );
        for code in codes {
            all.entry(code).or_default().insert(file.clone());
        }
    }
    all
}

/// Returns the codes that stand in backticks in the first cell of a table's row.
fn codes_of_the_docs(text: &str) -> BTreeSet<String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.filter(|cell| is_code(cell)).map(str::to_owned).collect()
}

#[test]
fn the_page_is_made_of_the_tables() {
    let page = codex_brief::messages::page();
    assert!(read(MESSAGES) == page, "{MESSAGES} is not current: run `make messages`");
}

#[tokio::test]
async fn a_code_is_explained_on_the_command_line() {
    let town = Town::new().await;
    let explain = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::support::PROGRAM);
        let told = command.arg("explain").args(arguments).output().unwrap();
        (told.status.code(), String::from_utf8(told.stdout).unwrap(), String::from_utf8(told.stderr).unwrap())
    };
    let (_, result) = town.run(&[("fail", "exit 1")], &["x.txt"]).await;
    let code = result["problem"]["code"].as_str().unwrap();
    let (exit, told, _) = explain(&[code]);
    assert!(exit == Some(0) && told.contains("What to do: "), "{told}");
    let (exit, _, error) = explain(&["step-faild"]);
    assert!(exit == Some(2) && error.contains("Did you mean `step-failed`?"), "{error}");
    let all: serde_json::Value = serde_json::from_str(&explain(&["--json"]).1).unwrap();
    assert!(all.as_array().unwrap().iter().any(|one| one["code"] == code), "{all}");
    assert_eq!(explain(&["--markdown"]).1, read(MESSAGES));
}

#[test]
fn every_code_is_explained_and_no_other() {
    let source = codes_of_the_source();
    assert!(source.len() > 70, "only {} codes were found; does this test still see them?", source.len());
    let mut explained = codes_of_the_docs(&read(MESSAGES));
    explained.extend(codes_of_the_docs(&read(REFERENCE)));
    let missing: Vec<_> = source.iter().filter(|(code, _)| !explained.contains(*code)).collect();
    assert!(missing.is_empty(), "add a row for each to {MESSAGES} (or {REFERENCE}): {missing:#?}");
    let gone: Vec<_> = explained.iter().filter(|code| !source.contains_key(*code)).collect();
    assert!(gone.is_empty(), "{MESSAGES} and {REFERENCE} explain codes that the source lacks: {gone:#?}");
}

#[test]
fn codes_are_found_however_they_are_written() {
    let (codes, unread) = codes_in(
        "UserError::new(\n    \"a-a\", x) problem(\"b-b\") refused( \"c-c\") Problem { code: \"d-d\".into() }\n\
         problem(\"not one\".to_owned()) refused(words) UserError::new(code, x) const E: &str = \"brief-e\";\n\
         UserError {\n code: \"f-f\" }",
    );
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["a-a", "b-b", "brief-e", "c-c", "d-d", "f-f"]);
    assert!(unread.is_empty(), "{unread:?}");
    assert_eq!(codes_in("UserError::new(NAME, x)").1.len(), 1);
    assert_eq!(codes_in("UserError::new(\"Not A Code\", x)").1.len(), 1);
}

#[test]
fn every_answer_of_the_webhook_is_explained() {
    let (docs, inbox) = (read(MESSAGES), read("src/webhook/inbox.rs"));
    // Answers are the literals that end a line.
    let mut pieces: Vec<&str> = inbox.split("\\n\"").collect();
    pieces.pop();
    let answers: Vec<&str> =
        pieces.iter().filter_map(|piece| piece.rsplit_once('"').map(|(_, text)| text)).collect();
    assert!(answers.len() >= 11, "only {answers:?} were found; does this test still see them?");
    for answer in answers {
        assert!(docs.contains(&format!("`{answer}`")), "{MESSAGES} lacks the webhook's answer `{answer}`");
    }
}

/// Tells whether a function of this name, with a test's attribute above it, is in a text.
fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let is_it = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().any(|(at, line)| {
        let attributes =
            lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        is_it(line)
            && attributes.into_iter().any(|line| {
                ["#[test]", "#[rstest]", "#[tokio::test"].iter().any(|test| line.starts_with(test))
            })
    })
}

/// Returns the module path of a file as `cargo test` names it.
fn module(file: &Path) -> String {
    let parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let from = if parts.first().is_some_and(|first| first == "tests") { 2 } else { 1 };
    parts
        .get(from..)
        .unwrap_or_default()
        .iter()
        .filter(|part| *part != "mod")
        .cloned()
        .collect::<Vec<_>>()
        .join("::")
}

/// Returns the rows of the table behind a marker of the security page, without its head.
fn rows_of_the_security_page(marker: &str) -> Vec<String> {
    let page = read(SECURITY);
    let table = page.split(&format!("<!-- {marker} -->")).nth(1).expect("the marker of the table");
    let rows = table.trim_start().lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(str::to_owned).collect()
}

/// Returns the tests that a row names, each of which must be there.
fn tests_of(row: &str, files: &[(String, String)]) -> Vec<String> {
    let tests = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
    let named: Vec<String> = tests.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(!named.is_empty(), "{SECURITY}: no test shows this: {row}");
    for test in &named {
        let (path, name) = test.rsplit_once("::").expect("module::name");
        let path = path.strip_suffix("::tests").unwrap_or(path);
        let found = files.iter().any(|(module, text)| {
            module.strip_suffix("::tests").unwrap_or(module) == path && is_test(text, name)
        });
        assert!(found, "{SECURITY} names the test `{test}`, which is not there");
    }
    named
}

/// Returns every file that holds tests, as its module and its text.
fn files_of_tests() -> Vec<(String, String)> {
    let files = ["src", "tests/stories"].iter().flat_map(|it| rust_files(it));
    files.map(|(file, text)| (module(&file), text)).collect()
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let files = files_of_tests();
    let count: usize =
        rows_of_the_security_page("boundaries").iter().map(|row| tests_of(row, &files).len()).sum();
    assert!(count >= 30, "only {count} tests were found in the table of {SECURITY}");
}

#[test]
fn sixty_attacks_are_told_apart_and_each_is_tried() {
    let (files, rows) = (files_of_tests(), rows_of_the_security_page("attacks"));
    assert!(rows.len() >= 60, "{SECURITY} tells of {} attacks only", rows.len());
    let (mut names, mut first) = (BTreeSet::new(), BTreeMap::new());
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert!(cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()), "four cells: {row}");
        let name: BTreeSet<String> = cells[0].split_whitespace().map(str::to_lowercase).collect();
        assert!(names.insert(name), "this attack stands in the table twice: {row}");
        let test = tests_of(row, &files).swap_remove(0);
        if let Some(other) = first.insert(test.clone(), row) {
            panic!("`{test}` shows two attacks first of all:\n{other}\n{row}");
        }
    }
}

/// Returns the permissions that the App's manifest asks for.
fn permissions_of_the_manifest() -> Vec<(String, String)> {
    let manifest = read("app.yml");
    let block = manifest.split("default_permissions:\n").nth(1).expect("the permissions");
    let lines = block.lines().take_while(|line| line.starts_with("  "));
    let pairs =
        lines.filter(|line| !line.trim_start().starts_with('#')).filter_map(|line| line.split_once(':'));
    pairs.map(|(name, level)| (name.trim().to_owned(), level.trim().to_owned())).collect()
}

#[tokio::test]
async fn the_permissions_of_the_manifest_are_enough_for_the_work() {
    let permissions = permissions_of_the_manifest();
    assert!(!permissions.iter().any(|(name, _)| name == "workflows"), "{permissions:?}");
    let town = Town::new().await;
    let given: Vec<(&str, &str)> =
        permissions.iter().map(|(name, level)| (name.as_str(), level.as_str())).collect();
    town.sim.set_app_permissions(&given);
    let (comment, result) = town.run(&[("write", "echo x > x.txt")], &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    let number = town.pull(&result).number;
    let text = brief(&[("write", "echo y > y.txt")], &["y.txt"]);
    town.sim.review_comment(REPO, number, "maria", &text).unwrap();
    assert_eq!(town.result(number, 1).await.1["status"], "success");
    town.everything_else_is_done().await;
    let refused =
        town.sim.requests().into_iter().filter(|request| request.status == Some(403)).collect::<Vec<_>>();
    assert!(refused.is_empty(), "{refused:?}");
}
