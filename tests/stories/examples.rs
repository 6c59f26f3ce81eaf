//! What authors copy: every file of `docs/examples` does what it is for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::steps::cluster::Cluster;
use crate::steps::kubectl::{READER, is_missing, kubeconfig};
use crate::support::{PROGRAM, REPO, Town};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> PathBuf {
    root().join("docs/examples")
}

fn example(name: &str) -> String {
    fs::read_to_string(examples().join(name)).unwrap()
}

const MAKEFILE: &str =
    "check:\n\t@test -s data/numbers.txt\npage.html:\n\t@printf '<h1>%s</h1>\\n' '$(TITLE)' > $@\n";

/// Posts a text as Maria's issue, and returns the file that the pull request brings.
async fn brings(town: &Town, text: &str, file: &str) -> String {
    let issue = town.sim.open_issue(REPO, "maria", "Example", text).unwrap();
    let (comment, result) = town.result(issue.number, 1).await;
    assert_eq!(result["status"], "success", "{}", comment.body);
    town.sim.file_at(REPO, &town.pull(&result).head, file).unwrap()
}

#[tokio::test]
async fn every_example_of_a_brief_becomes_the_pull_request_that_it_asks_for() {
    let cluster = Cluster::start(READER, &["web-1"]);
    let folder = tempfile::tempdir().unwrap();
    let with_cluster = format!(
        "[[lane]]\nname = \"cluster-reader\"\nnetwork = \"full\"\nkubectl = {{ kubeconfig = \"{}\", context = \"staging\", verbs = \
         [\"get\"] }}\n",
        kubeconfig(folder.path(), &cluster)
    );
    let lanes = "[[lane]]\nname = \"devbox-codex\"\nparallel = 2\nenvironment = [\"TZ\"]\n";
    let town =
        Town::with_lanes(&if is_missing() { lanes.to_owned() } else { format!("{lanes}{with_cluster}") })
            .await;
    town.sim.push_commit(REPO, "maria", "main", &[("Makefile", MAKEFILE)], "Make it").unwrap();
    let fenced = |name: &str| format!("```codex-brief\n{}```\n", example(name));
    let mut told = 0;
    for entry in fs::read_dir(examples()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let brought = match name.as_str() {
            "shell.md" => {
                brings(&town, &example(&name), "reports/lines.txt").await.contains("3 data/numbers.txt")
            }
            "python.md" => brings(&town, &example(&name), "sum.json").await.contains("\"sum\": 6"),
            "make.md" => {
                brings(&town, &example(&name), "page.html").await == "<h1>Numbers & sums, $1 each</h1>\n"
            }
            "clean-up.md" => brings(&town, &example(&name), "sorted.txt").await == "3\n2\n1\n",
            "kubectl.md" => {
                is_missing() || brings(&town, &example(&name), "looked.txt").await.contains("looked at")
            }
            "lines.brief.yaml" => brings(&town, &fenced(&name), "lines.txt").await.contains("numbers.txt"),
            "issue-form.yml" => {
                let (as_typed, rendered) = filled_in(&example(&name));
                brings(&town, &as_typed, "reports/status.md").await.len() == 11
                    && brings(&town, &rendered, "reports/status.md").await.len() == 11
            }
            "README.md" | "vscode-settings.json" | "pre-commit-config.yaml" | "check-briefs.yml" => continue,
            other => panic!("docs/examples/{other} is tried by no test"),
        };
        assert!(brought, "{name}");
        told += 1;
    }
    assert_eq!(told, 7);
    let listed = example("README.md");
    for entry in fs::read_dir(examples()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || listed.contains(&format!("[{name}]({name})")), "{name} is not listed");
    }
}

/// Returns the text of an issue that the form makes, as GitHub writes it: with the brief as it was typed, and with
/// a fence that `render` would put around it.
fn filled_in(form: &str) -> (String, String) {
    let value: String = form
        .lines()
        .skip_while(|line| !line.ends_with("id: brief"))
        .skip_while(|line| line.trim() != "value: |")
        .skip(1)
        .take_while(|line| line.starts_with("        ") || line.is_empty())
        .map(|line| format!("{}\n", line.strip_prefix("        ").unwrap_or_default()))
        .collect();
    assert!(value.starts_with("```codex-brief\n"), "{value}");
    let issue = |brief: &str| format!("### Why\n\n_No response_\n\n### Brief\n\n{brief}\n");
    let bare = value.trim_start_matches("```codex-brief\n").trim_end().trim_end_matches("```");
    // Its text is another, so that it is another brief.
    let bare = bare.replace("name: write the report", "name: write it");
    (issue(&value), issue(&format!("```codex-brief\n{}\n```", bare.trim_end())))
}

/// Runs a command line by bash in a folder, with the program under test as `codex-brief`.
fn bash(folder: &Path, line: &str) -> (Option<i32>, String) {
    let bin = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(PROGRAM, bin.path().join("codex-brief")).unwrap();
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-eo", "pipefail", "-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
    )
}

/// Makes a repository with a good brief and, if wanted, with a wrong one.
fn repository(with_wrong: bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "```codex-brief\nexecuter: a\n```\n";
    for (name, text) in [("notes.md", "# Notes\n"), ("a b.md", &example("shell.md"))] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    fs::write(folder.path().join("x.brief.yaml"), example("lines.brief.yaml")).unwrap();
    if with_wrong {
        fs::write(folder.path().join("wrong.md"), wrong).unwrap();
    }
    let (code, told) = bash(folder.path(), "git init -q && git add .");
    assert_eq!(code, Some(0), "{told}");
    folder
}

#[test]
fn the_workflow_and_the_hook_find_wrong_briefs_and_let_others_pass() {
    let workflow = example("check-briefs.yml");
    let step = workflow.lines().find_map(|line| line.trim().strip_prefix("run: git ls-files")).unwrap();
    let step = format!("git ls-files{step}");
    assert_eq!(bash(repository(false).path(), &step).0, Some(0));
    let (code, told) = bash(repository(true).path(), &step);
    // xargs tells any failure by 123.
    assert!(code == Some(123) && told.contains("::error file=wrong.md,line=2,col=1,"), "{code:?} {told}");
    let hooks = [
        example("pre-commit-config.yaml"),
        fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap(),
    ];
    for hook in hooks {
        let key = |name: &str| {
            hook.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim().to_owned()
        };
        let files = regex::Regex::new(key("files:").trim_matches('\'')).unwrap();
        assert!(files.is_match("a b.md") && files.is_match("x.brief.yaml") && !files.is_match("ci.yaml"));
        let (code, told) =
            bash(repository(true).path(), &format!("{} notes.md 'a b.md' x.brief.yaml", key("entry:")));
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(bash(repository(true).path(), &format!("{} notes.md wrong.md", key("entry:"))).0, Some(1));
    }
}

#[test]
fn editors_are_led_to_the_schema() {
    let settings: serde_json::Value = serde_json::from_str(&example("vscode-settings.json")).unwrap();
    let patterns = settings["yaml.schemas"]["./brief.schema.json"].as_array().unwrap();
    assert!(patterns.contains(&"*.brief.yaml".into()));
    let first = example("lines.brief.yaml").lines().next().unwrap().to_owned();
    let schema = first.strip_prefix("# yaml-language-server: $schema=").unwrap();
    let schema = fs::read_to_string(examples().join(schema)).unwrap();
    assert_eq!(schema, codex_brief::brief::schema::json_text());
}

#[test]
fn an_example_is_tried_on_a_repository_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let line = "mkdir data && seq 3 > data/numbers.txt && git init -qb main && git add . && \
                git -c user.name=a -c user.email=a@b commit -qm begin";
    let (code, told) = bash(folder.path(), line);
    assert_eq!(code, Some(0), "{told}");
    let run = |name: &str, more: &str| {
        bash(folder.path(), &format!("codex-brief run {}/{name} --repository . {more}", examples().display()))
    };
    let (code, told) = run("python.md", "");
    assert!(code == Some(0) && told.contains("{'count': 3, 'sum': 6}"), "{told}");
    let (code, told) = run("clean-up.md", "--dry-run");
    assert_eq!(code, Some(0), "{told}");
    for shown in [
        "(shell, 1 lines)",
        "continue_on_error: true",
        "if: always()",
        "timeout: 2m",
        "TZ: \"Europe/Berlin\"",
    ] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
    for (name, why) in [("clean-up.md", "variable-not-allowed"), ("kubectl.md", "kubectl-missing")] {
        let (code, told) = run(name, "");
        assert!(code == Some(1) && told.contains(why) && !told.contains("── step 1"), "{name}: {told}");
    }
}

fn new(arguments: &[&str], folder: &Path) -> Output {
    Command::new(PROGRAM)
        .arg("new")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test]
async fn a_new_brief_of_options_can_be_posted_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) =
        bash(folder.path(), "git init -q && git remote add origin git@github.com:octo/example.git");
    assert_eq!(code, Some(0), "{told}");
    let given = [
        "--step",
        "count=wc -l data/* > lines.txt\ncat <<'X'\n```\nX",
        "--title",
        "Count: the #lines",
        "--file",
        "lines.txt",
        "--link-issue",
        "1",
    ];
    let made = new(&given, folder.path());
    assert!(made.status.success(), "{made:?}");
    let town = Town::new().await;
    let text = String::from_utf8(made.stdout).unwrap();
    assert!(brings(&town, &text, "lines.txt").await.contains("numbers.txt"));
    let to_file = [&given[..], &["--yaml", "--output", "x.brief.yaml"]].concat();
    assert!(new(&to_file, folder.path()).status.success());
    let (code, told) = bash(folder.path(), "codex-brief check x.brief.yaml && head -1 x.brief.yaml");
    assert!(code == Some(0) && told.contains("yaml-language-server"), "{told}");
    for (arguments, code, told) in [
        (&to_file[..], 2, "output-unwritable"),
        (&["--title", "x"], 2, "--step, --file is not given"),
        (&["--repo", "octo"], 2, "value-unusable"),
        (&[&given[..], &["--file", "lines.txt"]].concat()[..], 1, "brief-file-twice"),
    ] {
        let refused = new(arguments, folder.path());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(code) && said.contains(told), "{arguments:?}: {said}");
        assert!(refused.stdout.is_empty());
    }
}

#[test]
fn a_new_brief_is_asked_for_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let answers = "\nocto\nocto/example\n\n\nCount\n\ncount\nwc -l a > b\n\n\nb\n\n";
    fs::write(folder.path().join("answers"), answers).unwrap();
    // `script` gives the program a terminal of its own.
    let line =
        "script -qec 'codex-brief new --output issue.md' /dev/null < answers && codex-brief check issue.md";
    let (code, told) = bash(folder.path(), line);
    assert_eq!(code, Some(0), "{told}");
    for said in [
        "The repository, as owner/name:",
        "is not a repository's name",
        "[~/work/example]",
        "issue.md:1: brief",
    ] {
        assert!(told.contains(said), "{said}: {told}");
    }
}
