//! Briefs as authors write them: every file of `fixtures/briefs` is a case. A file is added by putting
//! it there; a bad one needs what it is told beside it, as `name.expected`.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests fail by panicking, as tests do.

use std::fs;
use std::path::{Path, PathBuf};

use codex_brief::brief::{self, Brief, Diagnostic};
use codex_brief::cli::check::{self, CheckArgs};
use codex_brief::config::GuardConfig;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/briefs").join(name)
}

/// Lists the cases of a folder, and holds that it has at least as many as were promised.
fn cases(name: &str, at_least: usize) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_none_or(|ending| ending != "expected"));
    files.sort();
    assert!(files.len() >= at_least, "{name} has {} cases", files.len());
    files
}

/// Reads a file as `codex-brief check` does, by its ending.
fn read(file: &Path) -> (Vec<Brief>, Vec<Diagnostic>) {
    let text = fs::read_to_string(file).unwrap();
    let (mut briefs, mut diagnostics) = (Vec::new(), Vec::new());
    let mut take = |result: Result<Brief, Vec<Diagnostic>>| match result {
        Ok(brief) => briefs.push(brief),
        Err(problems) => diagnostics.extend(problems),
    };
    if file.extension().is_some_and(|ending| ending == "yaml") {
        take(brief::parse_document(&text));
    } else {
        let found = brief::extract(&text);
        for fence in &found.fences {
            take(brief::parse(&fence.text, &fence.origin()));
        }
        diagnostics.extend(found.refused);
        diagnostics.extend(found.misplaced.into_iter().map(|misplaced| misplaced.diagnostic));
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    (briefs, diagnostics)
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn good_briefs_are_taken() {
    for file in cases("good", 15) {
        let (briefs, diagnostics) = read(&file);
        let errors: Vec<String> = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == brief::Severity::Error)
            .map(|diagnostic| diagnostic.render_text_in(&name(&file)))
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        assert!(!briefs.is_empty(), "{} holds no brief", name(&file));
        for brief in briefs {
            assert!(schema_takes(&brief), "the JSON Schema refuses {}", name(&file));
            let written = brief::write::yaml(&brief);
            assert_eq!(brief::parse_document(&written).as_ref(), Ok(&brief), "{}: {written}", name(&file));
        }
    }
}

/// Each line of an expectation is `line:column code`, perhaps followed by a part of the message.
#[test]
fn bad_briefs_are_told_exactly_what_is_wrong() {
    let mut failures = Vec::new();
    for file in cases("bad", 45) {
        let (_, diagnostics) = read(&file);
        let told: Vec<String> = diagnostics
            .iter()
            .map(|found| format!("{}:{} {} {}", found.line, found.column, found.code, found.message))
            .collect();
        let expected_file = folder("bad").join(format!("{}.expected", name(&file)));
        let Ok(expected) = fs::read_to_string(&expected_file) else {
            let lines: Vec<String> = told.iter().map(|line| short(line)).collect();
            failures.push(format!(
                "{} is missing. If the following is what the author should be told, write it there:\n{}",
                expected_file.display(),
                lines.join("\n")
            ));
            continue;
        };
        let expected: Vec<&str> = expected.lines().collect();
        let matches = told.len() == expected.len()
            && told.iter().zip(&expected).all(|(told, expected)| {
                let place_and_code = short(expected);
                let part = expected[place_and_code.len()..].trim();
                short(told) == place_and_code && told.contains(part)
            });
        if !matches {
            failures.push(format!(
                "{}\nexpected:\n{}\ntold:\n{}",
                name(&file),
                expected.join("\n"),
                told.join("\n")
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn short(line: &str) -> String {
    line.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_expectation_belongs_to_a_brief() {
    for entry in fs::read_dir(folder("bad")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|ending| ending == "expected") {
            assert!(file.with_extension("").exists(), "{} has no brief", file.display());
        }
    }
}

/// Every bad brief's messages can be shown: no control, bidi or invisible character gets through, and
/// no quoted text leaves the block of a comment.
#[test]
fn what_authors_are_told_is_inert() {
    for file in cases("bad", 45) {
        let (_, diagnostics) = read(&file);
        let markdown = brief::render_markdown(&diagnostics);
        let terminal: String = diagnostics.iter().map(Diagnostic::render_text).collect();
        for text in [&markdown, &terminal] {
            let hidden = |c: char| {
                (c.is_control() && c != '\n')
                    || matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
                        | '\u{FEFF}' | '\u{AD}' | '\u{3164}' | '\u{E0000}'..='\u{E0FFF}')
            };
            assert!(!text.chars().any(hidden), "{}: {text:?}", name(&file));
        }
        assert!(markdown.len() < 30_000, "{}", name(&file));
        if !markdown.is_empty() {
            let fence: String = markdown.chars().take_while(|c| *c == '`').collect();
            assert_eq!(markdown.matches(&fence).count(), 2, "{}: {markdown}", name(&file));
        }
    }
}

#[test]
fn the_example_of_the_protocol_is_read_as_written() {
    let (briefs, diagnostics) = read(&folder("good").join("protocol-example.md"));
    assert_eq!(diagnostics, []);
    let [brief] = briefs.as_slice() else { panic!("one brief") };
    assert_eq!(brief.executor, "devbox-codex");
    assert_eq!(brief.repo.to_string(), "HirakuArai/vpm-mini");
    assert_eq!(brief.workdir, "~/work/vpm-mini");
    assert!(brief.steps[0].work.shown().1.starts_with("set -e\nNS=$(kubectl"));
    assert!(brief.steps[0].work.shown().1.ends_with("スクリプト呼び出しなど\n"), "{:?}", brief.steps[0].work);
    let pr = brief.pull_request().unwrap();
    assert_eq!(pr.files, ["reports/metrics-echo/metrics_echo_ready_status_p3-2.md"]);
    assert_eq!(pr.link_issue, Some(774));
}

#[test]
fn a_text_may_hold_several_briefs() {
    let (briefs, _) = read(&folder("good").join("several-briefs.md"));
    let branches: Vec<&str> = briefs.iter().map(|brief| brief.branch.as_str()).collect();
    assert_eq!(branches, ["main", "next", "third"]);
}

fn check(files: &[PathBuf], json: bool, stdin: &str) -> (u8, String) {
    let args = CheckArgs { files: files.to_vec(), json, ..CheckArgs::default() };
    let mut out = Vec::new();
    let code = check::run_with(&args, &GuardConfig::default(), &mut stdin.as_bytes(), &mut out);
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn check_says_by_its_exit_code_how_it_went() {
    let good = folder("good").join("several-briefs.md");
    let bad = folder("bad").join("branch-dots.yaml");
    let (code, text) = check(std::slice::from_ref(&good), false, "");
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains(" ok — octo/example at main, lane devbox-codex, 1 step, pr with 1 file\n"),
        "{text}"
    );
    let (code, text) = check(&[good.clone(), bad], false, "");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("branch-dots.yaml:3:9\n"), "{text}");
    assert!(text.ends_with("4 briefs, 3 fine, 1 not\n"), "{text}");
    let (code, text) = check(&[folder("bad").join("in-quote.md")], false, "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("warning[brief-in-quote]") && text.contains("no brief"), "{text}");
    let (code, text) = check(&[good, folder("good").join("absent.md")], false, "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("absent.md cannot be read: "), "{text}");
}

#[test]
fn check_reads_standard_input_as_what_it_looks_like() {
    let stdin = [PathBuf::from("-")];
    let bare = fs::read_to_string(folder("good").join("minimal.yaml")).unwrap();
    let fenced = fs::read_to_string(folder("good").join("minimal.md")).unwrap();
    assert_eq!(check(&stdin, false, &bare).0, 0);
    assert_eq!(check(&stdin, false, &fenced).0, 0);
    assert_eq!(check(&stdin, false, "nothing here").0, 2);
    let (code, text) = check(&stdin, false, &"x".repeat((1 << 20) + 1));
    assert_eq!(code, 2);
    assert!(text.contains("more than 1048576 bytes"), "{text}");
    // On GitHub a brief without a fence is no brief, so a Markdown file is not read as one.
    let temporary = tempfile::tempdir().unwrap();
    let markdown = temporary.path().join("issue.md");
    fs::write(&markdown, bare).unwrap();
    let (code, text) = check(&[markdown], false, "");
    assert_eq!(code, 2);
    assert!(text.contains("only between ```codex-brief"), "{text}");
}

#[test]
fn check_prints_json_for_programs() {
    let files = [folder("good").join("minimal.md"), folder("bad").join("files-twice.yaml")];
    let (code, text) = check(&files, true, "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &json["exit_code"]), (1, &1.into()));
    let good = &json["files"][0]["briefs"][0];
    assert_eq!(good["ok"], true);
    assert_eq!(good["brief"]["repo"]["owner"], "octo");
    let found = &json["files"][1]["briefs"][0]["diagnostics"][0];
    assert_eq!(found["code"], "brief-file-twice");
    assert_eq!(found["line"], 15);
    assert_eq!(found["severity"], "error");
    assert!(found["snippet"]["text"].is_string());
}

/// Holds a brief against the JSON Schema, as far as the schema uses JSON Schema.
fn schema_takes(brief: &Brief) -> bool {
    let mut value = serde_json::to_value(brief).unwrap();
    value["repo"] = brief.repo.to_string().into();
    drop_nulls(&mut value);
    takes(&brief::schema::json_schema(), &value)
}

fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn takes(schema: &serde_json::Value, value: &serde_json::Value) -> bool {
    let limit = |name: &str| schema[name].as_u64().map(|limit| usize::try_from(limit).unwrap());
    if let Some(wanted) = schema.get("const") {
        return wanted == value;
    }
    if let Some(any) = schema.get("anyOf") {
        return any.as_array().unwrap().iter().any(|schema| takes(schema, value));
    }
    if let Some(words) = schema.get("enum") {
        return words.as_array().unwrap().contains(value);
    }
    let one_of = |takes: &dyn Fn(&serde_json::Value) -> bool| {
        schema["oneOf"].as_array().is_none_or(|all| all.iter().filter(|one| takes(one)).count() == 1)
    };
    let Some(kind) = schema["type"].as_str() else { return one_of(&|one| takes(one, value)) };
    match kind {
        "boolean" => value.is_boolean(),
        "string" => value.as_str().is_some_and(|text| {
            let length = text.chars().count();
            limit("minLength").is_none_or(|least| length >= least)
                && limit("maxLength").is_none_or(|most| length <= most)
                && schema["pattern"]
                    .as_str()
                    .is_none_or(|pattern| regex::Regex::new(pattern).unwrap().is_match(text))
        }),
        "integer" => value.as_u64().is_some_and(|number| {
            number >= schema["minimum"].as_u64().unwrap() && number <= schema["maximum"].as_u64().unwrap()
        }),
        "array" => value.as_array().is_some_and(|list| {
            limit("minItems").is_none_or(|least| list.len() >= least)
                && limit("maxItems").is_none_or(|most| list.len() <= most)
                && list.iter().all(|item| takes(&schema["items"], item))
        }),
        "object" => value.as_object().is_some_and(|map| {
            if let Some(names) = schema.get("propertyNames") {
                let pattern = regex::Regex::new(names["pattern"].as_str().unwrap()).unwrap();
                let fine = |(name, value): (&String, &_)| {
                    pattern.is_match(name) && takes(&schema["additionalProperties"], value)
                };
                return map.iter().all(fine);
            }
            let has = |name: &serde_json::Value| map.contains_key(name.as_str().unwrap());
            let kinds = schema.get("oneOf").and_then(|kinds| kinds.as_array());
            if kinds.is_some_and(|kinds| kinds.iter().filter(|kind| has(&kind["required"][0])).count() != 1) {
                return false;
            }
            let properties = schema["properties"].as_object().unwrap();
            let has = |schema: &serde_json::Value| {
                schema["required"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| map.contains_key(name.as_str().unwrap()))
            };
            has(schema)
                && one_of(&has)
                && map
                    .iter()
                    .all(|(name, value)| properties.get(name).is_some_and(|schema| takes(schema, value)))
        }),
        other => panic!("the schema uses the type {other}"),
    }
}
