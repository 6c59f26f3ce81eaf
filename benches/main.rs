//! Measures against peers and limits, and prints one table; `benches/README.md` explains each row.

use std::hint::black_box;
use std::time::{Duration, Instant};

use codex_brief::brief::extract::extract;
use pulldown_cmark::{Options, Parser};

/// How often each thing is measured; the median counts, so that a neighbour's load does not.
const ROUNDS: usize = 31;
/// The size of the text, in bytes: more than ten times what GitHub takes in a comment.
const TEXT_BYTES: usize = 1_000_000;

fn main() {
    let text = markdown();
    let ours = median(|| {
        black_box(extract(black_box(&text)));
    });
    let bare = median(|| {
        for event in Parser::new_ext(black_box(&text), github()) {
            black_box(event);
        }
    });
    println!("| what | ours | peer or limit | ratio |");
    println!("|---|--:|--:|--:|");
    println!(
        "| 1 MB Markdown: extraction vs bare pulldown-cmark event loop | {} | {} | {:.2} |",
        shown(ours),
        shown(bare),
        ours.as_secs_f64() / bare.as_secs_f64()
    );
}

fn github() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM
}

/// Returns a text as a long thread has them: prose, lists, tables, code, quotes, and one brief.
fn markdown() -> String {
    let section = "## A heading with `code` and *stress*\n\n\
        Some prose that goes on for a while, with [a link](https://example.org/a/b) and an <b>HTML</b> tag, \
        then more of it so that the line is as long as lines are.\n\n\
        - a first item\n  - one below it, with ~~struck~~ words\n- [ ] a task\n\n\
        | left | right |\n|---|--:|\n| a | 1 |\n| b | 2 |\n\n\
        > a quoted reply\n> of two lines\n\n\
        ```rust\nfn main() { println!(\"not a brief\"); }\n```\n\n";
    let brief = "```codex-brief\nexecutor: devbox-codex\nrepo: octo/example\nbranch: main\nworkdir: ~/work/example\n\
        steps:\n  - name: write\n    shell: echo ready > ready.md\noutputs:\n  - type: pr\n    title: Ready\n    \
        commit_message: ready\n    files: [ready.md]\n```\n\n";
    let mut text = String::with_capacity(TEXT_BYTES);
    text.push_str(brief);
    while text.len() + section.len() <= TEXT_BYTES {
        text.push_str(section);
    }
    let found = extract(&text).fences.len();
    assert_eq!(found, 1, "the text must be one in which extraction finds its brief");
    text
}

fn median(mut measured: impl FnMut()) -> Duration {
    measured();
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            measured();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

fn shown(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
