//! The parts that comments and pull requests share: bounded blocks, tables, units, links.

use std::fmt::Write as _;

use chrono::DateTime;

use crate::run::changeset::FileMode;
use crate::run::report::{ChangeKind, ChangeSummary, StepReport, StepStatus};

use super::inert::{code_span, inert_block, inert_html, inert_inline, inert_sentence, truncate_middle};

/// Bounds the rows of a table of steps; a brief has at most 50.
pub(super) const MAX_ROWS: usize = 50;

/// Which end of a text is kept when it is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// The first lines, as of a diff.
    Head,
    /// The last lines, as of a log.
    Tail,
}

/// Returns `text` by [`inert_inline`], cut so that the Markdown has at most `max` characters.
pub(super) fn inline_within(text: &str, max: usize) -> String {
    within(text, max, inert_inline)
}

/// Returns `text` by [`inert_sentence`], cut so that the Markdown has at most `max` characters.
pub(super) fn sentence_within(text: &str, max: usize) -> String {
    within(text, max, inert_sentence)
}

/// Returns `text` by [`inert_html`], cut so that the HTML has at most `max` characters.
pub(super) fn html_within(text: &str, max: usize) -> String {
    within(text, max, inert_html)
}

/// Returns `text` by [`code_span`], cut so that the Markdown has at most `max` characters.
pub(super) fn code_within(text: &str, max: usize) -> String {
    within(text, max, code_span)
}

/// Escapes make a text longer by up to fourteen times: cuts the source until the result fits.
fn within(text: &str, max: usize, render: fn(&str) -> String) -> String {
    let mut limit = max;
    loop {
        let out = render(&truncate_middle(text, limit));
        if chars(&out) <= max || limit == 0 {
            return out;
        }
        limit = limit * 2 / 3;
    }
}

/// Returns a code block of at most `max` characters, and the bytes of `text` that are in it; nothing
/// when not even a few lines find room. Whole lines are kept where there are any.
pub(super) fn block_within(text: &str, info: &str, max: usize, keep: Keep) -> Option<(String, usize)> {
    let mut limit = max.saturating_sub(info.len() + 8);
    while limit >= 40 {
        let part = cut(text, limit, keep);
        let block = inert_block(part, info);
        let size = chars(&block);
        if size <= max {
            return Some((block, part.len()));
        }
        limit = (limit * max / size).min(limit - limit / 50 - 1);
    }
    None
}

/// Returns one end of `text`, at most `max` characters, cut at a line's end if there is one in it.
pub(super) fn cut(text: &str, max: usize, keep: Keep) -> &str {
    let count = chars(text);
    if count <= max {
        return text;
    }
    let at = |n: usize| text.char_indices().nth(n).map_or(text.len(), |(i, _)| i);
    match keep {
        Keep::Head => {
            let part = &text[..at(max)];
            part.rfind('\n').map_or(part, |end| &part[..=end])
        }
        Keep::Tail => {
            let part = &text[at(count - max)..];
            part.find('\n').filter(|end| end + 1 < part.len()).map_or(part, |end| &part[end + 1..])
        }
    }
}

/// Shares `room` among `wants`: who wants little gets it, the others get the same.
pub(super) fn fair_shares(wants: &[usize], room: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..wants.len()).collect();
    order.sort_by_key(|&i| wants[i]);
    let mut shares = vec![0; wants.len()];
    let mut left = room;
    for (done, &i) in order.iter().enumerate() {
        shares[i] = wants[i].min(left / (wants.len() - done));
        left -= shares[i];
    }
    shares
}

/// Returns a folded section; `summary` is HTML, `body` is Markdown.
pub(super) fn details(summary: &str, body: &str) -> String {
    format!("<details><summary>{summary}</summary>\n\n{body}\n\n</details>\n")
}

/// Returns a Markdown link, or `label` alone when `url` is none that may stand in one.
pub(super) fn link(label: &str, url: &str) -> String {
    let sound = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= 2000
        && url
            .chars()
            .all(|c| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '<' | '>' | '[' | ']' | '\\'));
    if sound { format!("[{label}]({url})") } else { label.to_owned() }
}

/// Returns the table of steps: number, name, result, exit code, duration.
pub(super) fn step_table(steps: &[StepReport]) -> String {
    let mut out = String::from("| # | Step | Result | Exit code | Time |\n|--:|---|---|--:|--:|\n");
    for (number, step) in (1..).zip(steps.iter().take(MAX_ROWS)) {
        let name = inline_within(&step.name, 160);
        let (result, exit) = (result_cell(step), exit_cell(step));
        let time =
            if step.status == StepStatus::Skipped { "–".to_owned() } else { duration(step.duration_ms) };
        let _ = writeln!(out, "| {number} | {name} | {result} | {exit} | {time} |");
    }
    if steps.len() > MAX_ROWS {
        let _ = writeln!(out, "\n… and {} more steps.", steps.len() - MAX_ROWS);
    }
    out
}

pub(super) fn result_cell(step: &StepReport) -> String {
    let word = step.status.word();
    if step.tolerated {
        return format!("⚠️ {word}, and the run went on");
    }
    let sign = match step.status {
        StepStatus::Succeeded => "✅",
        StepStatus::Failed
        | StepStatus::WallTimeout
        | StepStatus::IdleTimeout
        | StepStatus::OverMemory
        | StepStatus::OverDisk => "❌",
        StepStatus::Stopped => "⏹️",
        StepStatus::Skipped => "➖",
    };
    format!("{sign} {word}")
}

fn exit_cell(step: &StepReport) -> String {
    match (step.exit_code, step.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "–".to_owned(),
    }
}

/// Returns the changes as `git status --short` would list them; those that the brief does not declare
/// are marked, and the list is cut to `max` characters.
pub(super) fn status_lines(changes: &[ChangeSummary], max: usize) -> String {
    let mut out = String::new();
    for (shown, change) in changes.iter().enumerate() {
        let letter = match change.kind {
            ChangeKind::Added => "A",
            ChangeKind::Modified => "M",
            ChangeKind::Deleted => "D",
        };
        let size = if change.binary {
            "binary".to_owned()
        } else {
            format!("+{} -{}", change.added_lines, change.removed_lines)
        };
        let mark = if change.declared { "" } else { "  (not declared)" };
        let mode = mode_change(change).map_or(String::new(), |mode| format!("  {}", one_line(&mode)));
        let path = truncate_middle(&one_line(&change.path), 300);
        let line = format!("{letter}  {path}  {size}{mode}{mark}\n");
        if chars(&out) + chars(&line) + 40 > max {
            let _ = writeln!(out, "… and {} more", changes.len() - shown);
            break;
        }
        out.push_str(&line);
    }
    out
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], "\u{FFFD}")
}

/// Returns what neither name nor lines tell of a change: a mode that is not what it was, a new file
/// that can be executed, where a link leads.
pub(super) fn mode_change(change: &ChangeSummary) -> Option<String> {
    let link = change.link.as_ref().map(|target| format!("link to {}", truncate_middle(target, 200)));
    let mode = match (change.old_mode, change.new_mode) {
        (Some(old), Some(new)) if old != new => Some(format!("mode {:o} → {:o}", old.git(), new.git())),
        (None, Some(FileMode::Executable)) => Some(format!("mode {:o}", FileMode::Executable.git())),
        _ => None,
    };
    let told: Vec<String> = mode.into_iter().chain(link).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// Returns how many files and lines changed, in words.
pub(super) fn change_counts(changes: &[ChangeSummary]) -> String {
    let (added, removed) = changes.iter().fold((0_u64, 0_u64), |(a, r), c| {
        (a.saturating_add(c.added_lines), r.saturating_add(c.removed_lines))
    });
    match changes.len() {
        0 => "no file changed".to_owned(),
        1 => format!("1 file changed, +{added} −{removed} lines"),
        n => format!("{n} files changed, +{added} −{removed} lines"),
    }
}

/// Returns a duration for people: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// Returns a size for people, in units of 1,000 bytes.
pub(super) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{}.{} kB", n / 1_000, n % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", n / 1_000_000, n % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", n / 1_000_000_000, n % 1_000_000_000 / 100_000_000),
    }
}

/// Returns a time in UTC: `2026-11-20 09:15:02 UTC`.
pub(super) fn utc(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| "unknown time".to_owned(), |t| t.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Returns the time of the day in UTC: `09:15:02 UTC`.
pub(super) fn clock(ms: i64) -> String {
    let told = utc(ms);
    told.split_once(' ').map_or(told.clone(), |(_, time)| time.to_owned())
}

/// Returns the first 12 characters of a digest or of a commit's name, as a code span.
pub(super) fn short(digest: &str) -> String {
    id_span(digest, 12)
}

/// Returns at most `max` letters, digits and `-` of an id as a code span. Never an empty one: two
/// backticks would open a span that ends at some other.
pub(super) fn id_span(id: &str, max: usize) -> String {
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(max).collect();
    if plain.is_empty() { "`unknown`".to_owned() } else { format!("`{plain}`") }
}

/// Returns the number of characters, the unit of GitHub's limits.
pub(super) fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::inert::tests::hostile;
    use super::*;

    proptest! {
        #[test]
        fn shares_are_fair(wants in proptest::collection::vec(0_usize..1000, 0..20), room in 0_usize..5000) {
            let shares = fair_shares(&wants, room);
            prop_assert!(shares.iter().sum::<usize>() <= room);
            let largest_cut = shares.iter().zip(&wants).filter(|(s, w)| s < w).map(|(s, _)| *s).min();
            for (share, want) in shares.iter().zip(&wants) {
                prop_assert!(share <= want);
                prop_assert!(largest_cut.is_none_or(|cut| *share <= cut + 1));
            }
        }

        #[test]
        fn blocks_and_lines_keep_their_bounds(text in hostile(), max in 0_usize..300) {
            for keep in [Keep::Head, Keep::Tail] {
                if let Some((block, shown)) = block_within(&text, "text", max, keep) {
                    prop_assert!(chars(&block) <= max && shown <= text.len());
                }
                prop_assert!(chars(cut(&text, max, keep)) <= max);
            }
            prop_assert!(chars(&inline_within(&text, max)) <= max);
            prop_assert!(chars(&html_within(&text, max)) <= max);
        }
    }

    #[test]
    fn modes_and_links_are_told() {
        let change = |old_mode, new_mode, link: Option<&str>| ChangeSummary {
            path: "run.sh".into(),
            kind: ChangeKind::Modified,
            added_lines: 0,
            removed_lines: 0,
            binary: false,
            declared: true,
            old_mode,
            new_mode,
            link: link.map(str::to_owned),
        };
        let (plain, program) = (Some(FileMode::Regular), Some(FileMode::Executable));
        let told = |old, new| mode_change(&change(old, new, None));
        assert_eq!(told(plain, program).as_deref(), Some("mode 100644 → 100755"));
        assert_eq!(told(program, plain).as_deref(), Some("mode 100755 → 100644"));
        assert_eq!(told(None, program).as_deref(), Some("mode 100755"));
        assert_eq!((told(None, plain), told(program, program), told(plain, None)), (None, None, None));
        let link = change(plain, Some(FileMode::Symlink), Some("a\nb"));
        assert_eq!(mode_change(&link).as_deref(), Some("mode 100644 → 120000, link to a\nb"));
        let lines = status_lines(&[link], 1_000);
        assert_eq!(lines, "M  run.sh  +0 -0  mode 100644 → 120000, link to a\u{fffd}b\n");
    }

    #[test]
    fn units_read_well() {
        assert_eq!(
            [850, 12_345, 245_000, 7_380_000].map(duration),
            ["850 ms", "12.3 s", "4 min 05 s", "2 h 03 min"]
        );
        assert_eq!([999, 12_345, 5_250_000, 1 << 30].map(bytes), ["999 B", "12.3 kB", "5.2 MB", "1.0 GB"]);
        assert_eq!(utc(1_795_165_200_000), "2026-11-20 09:00:00 UTC");
    }

    #[test]
    fn cuts_fall_on_line_ends() {
        assert_eq!(cut("one\ntwo\nthree", 7, Keep::Tail), "three");
        assert_eq!(cut("one\ntwo\nthree", 9, Keep::Head), "one\ntwo\n");
        assert_eq!(cut("onetwothree", 5, Keep::Tail), "three");
    }

    #[test]
    fn only_sound_addresses_become_links() {
        assert_eq!(link("a", "https://github.com/o/r/pull/1"), "[a](https://github.com/o/r/pull/1)");
        for url in ["javascript:x", "https://x/)[y](https://z", "https://x/ y", ""] {
            assert_eq!(link("a", url), "a");
        }
    }
}
