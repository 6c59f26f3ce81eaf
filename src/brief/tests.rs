//! What holds for extraction and reading together; single rules are tested beside them, and whole
//! briefs in `fixtures/briefs`.

use proptest::prelude::*;

use super::*;

const GOOD: &str = "executor: devbox-codex\nrepo: octo/example\nbranch: main\nworkdir: ~/work/example\n\
steps:\n  - name: one\n    shell: |\n      make report\n\n      git status\noutputs:\n  - type: pr\n    \
title: Add the report\n    commit_message: add the report\n    files: [reports/status.md]\n";

fn codes_of(text: &str) -> Vec<&'static str> {
    parse_document(text).unwrap_err().iter().map(|diagnostic| diagnostic.code).collect()
}

fn places(markdown: &str) -> Vec<(usize, Place)> {
    extract(markdown).misplaced.iter().map(|misplaced| (misplaced.line, misplaced.place)).collect()
}

#[test]
fn a_fence_is_taken_with_its_exact_text_and_lines() {
    let found = extract(
        "# Title\r\n\r\n  ~~~~codex-brief  now  \r\n  a: 1\r\n b\r\n   c\r\n~~~\r\n\r\n ~~~~~ \t\r\nafter",
    );
    let [fence] = found.fences.as_slice() else { panic!("{found:?}") };
    assert_eq!(fence.text, "a: 1\nb\n c\n~~~\n\n");
    assert_eq!((fence.index, fence.fence_line, fence.first_line, fence.column_offset), (0, 3, 4, 2));
    assert_eq!(fence.info, "codex-brief  now");
    assert_eq!(fence.origin().removed, [2, 1, 2, 0, 0]);
    assert!(found.misplaced.is_empty() && found.refused.is_none());
}

#[test]
fn line_endings_do_not_change_a_brief() {
    let lf = format!("a\n\n```codex-brief\n{GOOD}```\n");
    let texts: Vec<Fence> = [lf.clone(), lf.replace('\n', "\r\n"), lf.replace('\n', "\r")]
        .iter()
        .flat_map(|text| extract(text).fences)
        .collect();
    assert_eq!(texts.len(), 3);
    assert!(texts.iter().all(|fence| fence.text == GOOD && fence.first_line == 4));
}

#[test]
fn a_byte_order_mark_before_the_text_is_no_part_of_it() {
    assert_eq!(extract("\u{FEFF}```codex-brief\n```").fences.len(), 1);
}

#[test]
fn only_the_first_word_counts_and_exactly() {
    for info in ["codex-brief", " codex-brief", "codex-brief x", "codex-brief\tx"] {
        assert_eq!(extract(&format!("```{info}\n```\n")).fences.len(), 1, "{info}");
    }
    for info in [
        "",
        "yaml",
        "codex",
        "codex-briefs",
        "codex&#45;brief",
        "codex\\-brief",
        "{codex-brief}",
        "x codex-brief",
    ] {
        assert_eq!(extract(&format!("```{info}\n```\n")).fences, [], "{info}");
    }
    assert_eq!(extract("```codex-brief `x`\n```\n").fences, []);
    assert_eq!(extract("``codex-brief\n``\n").fences, []);
}

#[test]
fn a_container_ends_its_fence_and_keeps_it_from_counting() {
    assert_eq!(places("> ```codex-brief\n> a\n\nb\n"), [(1, Place::Quote)]);
    assert_eq!(places("- x\n\n  ```codex-brief\n  a\n\nb\n\n```\n"), [(3, Place::ListItem)]);
    assert_eq!(places("> [!NOTE]\n> ```codex-brief\n> ```\n"), [(2, Place::Quote)]);
    assert_eq!(places("* > 1. ```codex-brief\n"), [(1, Place::ListItem)]);
    assert_eq!(places("[^1]: ```codex-brief\n    ```\n\n[^1]"), [(1, Place::Footnote)]);
    for text in
        ["> ```codex-brief\n> ```\n", "- ```codex-brief\n  ```\n", "<!--\n```codex-brief\n```\n\n-->\n"]
    {
        assert_eq!(extract(text).fences, [], "{text}");
    }
}

#[test]
fn a_quote_does_not_lend_its_opening_line_to_the_text_below() {
    // The lines after the quote stand at the top level, and so does this other, unclosed fence.
    let text = format!("> ```codex-brief\n{GOOD}```\n");
    assert_eq!(extract(&text).fences, []);
    assert_eq!(places(&text), [(1, Place::Quote)]);
}

#[test]
fn an_unclosed_fence_is_told_wherever_the_text_ends() {
    for text in [
        "```codex-brief",
        "```codex-brief\n",
        "```codex-brief\na",
        "````codex-brief\na\n```",
        "```codex-brief\n    ```\n",
    ] {
        assert_eq!(places(text), [(1, Place::Unclosed)], "{text:?}");
        assert_eq!(extract(text).fences, [], "{text:?}");
    }
    assert_eq!(extract("```codex-brief\n```").fences.len(), 1);
}

#[test]
fn a_text_holds_so_many_briefs_and_not_one_more() {
    let brief = "```codex-brief\n```\n";
    assert_eq!(extract(&brief.repeat(MAX_BRIEFS_PER_TEXT)).fences.len(), MAX_BRIEFS_PER_TEXT);
    let found = extract(&brief.repeat(MAX_BRIEFS_PER_TEXT + 1));
    assert_eq!(found.fences, []);
    assert_eq!(found.refused.map(|refused| (refused.code, refused.line)), Some((codes::TOO_MANY_BRIEFS, 41)));
}

#[test]
fn a_text_has_so_many_bytes_and_not_one_more() {
    let brief = format!("```codex-brief\n{GOOD}```\n");
    let padding = "x".repeat(MAX_TEXT_BYTES - brief.len());
    assert_eq!(extract(&(brief.clone() + &padding)).fences.len(), 1);
    let found = extract(&(brief + &padding + "x"));
    assert_eq!(found.fences, []);
    assert_eq!(found.refused.map(|refused| refused.code), Some(codes::TEXT_TOO_LARGE));
}

#[test]
fn only_so_many_misplaced_fences_are_told() {
    assert_eq!(places(&"> ```codex-brief\n\n".repeat(1000)).len(), 20);
}

#[test]
fn a_brief_has_so_many_bytes_and_not_one_more() {
    let padding = "#".repeat(MAX_BRIEF_BYTES - GOOD.len());
    assert!(parse_document(&format!("{GOOD}{padding}")).is_ok());
    assert_eq!(codes_of(&format!("{GOOD}{padding}#")), [codes::TOO_LARGE]);
}

/// The facts that other readers of YAML are slow on; here depth is bounded while reading, so each of
/// them is refused within the first few values.
#[test]
fn bombs_are_refused_at_the_depth_limit() {
    for bomb in ["{", "[", "- ", "? ", "[{a: "] {
        let found = parse_document(&bomb.repeat(60_000 / bomb.len())).unwrap_err();
        let [refused] = found.as_slice() else { panic!("{bomb}: {found:?}") };
        assert_eq!((refused.code, refused.line), (codes::TOO_DEEP, 1), "{bomb}");
        assert!(refused.column <= bomb.len() * (MAX_DEPTH + 1), "{bomb}: {}", refused.column);
    }
}

#[test]
fn a_brief_holds_so_many_values() {
    assert_eq!(codes_of(&format!("[{}]", "a, ".repeat(MAX_NODES + 10))), [codes::TOO_MANY_VALUES]);
}

#[test]
fn problems_are_counted_beyond_those_shown() {
    let unknown: String = (0..100).map(|number| format!("unknown{number}: x\n")).collect();
    let found = parse_document(&format!("{GOOD}{unknown}")).unwrap_err();
    assert_eq!(found.len(), MAX_DIAGNOSTICS + 1);
    assert_eq!(found[MAX_DIAGNOSTICS].code, codes::MORE_PROBLEMS);
    assert_eq!(found[MAX_DIAGNOSTICS].message, "70 more problems are not shown.");
}

#[test]
fn refused_characters_do_not_hide_other_problems() {
    let text = GOOD.replace("main", "ma\u{200B}in").replace("octo/example", "octo");
    assert_eq!(codes_of(&text), [codes::REPO, codes::INVISIBLE_CHARACTER]);
}

#[test]
fn every_refused_character_is_refused_everywhere() {
    for c in [
        '\u{202E}',
        '\u{2066}',
        '\u{200F}',
        '\u{200B}',
        '\u{2060}',
        '\u{FEFF}',
        '\u{E0041}',
        '\0',
        '\u{1B}',
        '\u{7F}',
        '\u{85}',
        '\u{2028}',
    ] {
        for (at, _) in GOOD.char_indices() {
            let text = format!("{}{c}{}", &GOOD[..at], &GOOD[at..]);
            // A mark before the whole text is dropped, as it is for Markdown.
            if at == 0 && c == '\u{FEFF}' {
                continue;
            }
            assert!(parse_document(&text).is_err(), "U+{:04X} at {at}", c as u32);
        }
    }
}

#[test]
fn the_stand_in_of_refused_characters_cannot_be_written() {
    assert_eq!(codes_of(&GOOD.replace("Add the", "Add\u{FDD0}the")), [codes::CONTROL_CHARACTER]);
    assert_eq!(codes_of(&GOOD.replace("Add the report", "\"a\\uFDD0\"")), [codes::CONTROL_CHARACTER]);
}

#[test]
fn a_workdir_is_handed_on_normalized() {
    let brief = parse_document(&GOOD.replace("~/work/example", "~//work/./example/")).unwrap();
    assert_eq!(brief.workdir, "~/work/example");
}

#[test]
fn a_brief_survives_storage() {
    let brief = parse_document(GOOD).unwrap();
    let json = serde_json::to_string(&brief).unwrap();
    assert_eq!(serde_json::from_str::<Brief>(&json).unwrap(), brief);
}

/// Markdown that may stand before a brief; each ends in a paragraph, so that nothing of it goes on.
fn surroundings() -> impl Strategy<Value = String> {
    let block = prop_oneof![
        "[a-zA-Z0-9 .,!*_\\[\\]()日é]{0,40}",
        Just("> a quote\n> ```codex-brief\n> a: b".to_owned()),
        Just("- a list\n\n  ```codex-brief\n  a: b\n  ```".to_owned()),
        Just("1. one\n   - two".to_owned()),
        Just("~~~bash\n```codex-brief\n~~~".to_owned()),
        Just("<!-- a comment\n\n```codex-brief\n\n-->".to_owned()),
        Just("<details>\n<summary>x</summary>".to_owned()),
        Just("| a | b |\n|---|---|\n| 1 | 2 |".to_owned()),
        Just("    indented code".to_owned()),
        Just("[^1]: a footnote".to_owned()),
        Just("# Title\n***\n[a]: https://example.com 'x'".to_owned()),
    ];
    prop::collection::vec(block, 0..6).prop_map(|blocks| format!("{}\n\nwords\n\n", blocks.join("\n\n")))
}

proptest! {
    #[test]
    fn extraction_takes_any_text(text in "([`~> \t\r\n*+.\\-:<!&#|\\[\\]^\\\\a-c0-9é\u{202E}\0]|codex-brief|```|<!--|-->){0,300}") {
        let found = extract(&text);
        let normal = extract::normalize(&text);
        let lines: Vec<&str> = normal.split('\n').collect();
        for (index, fence) in found.fences.iter().enumerate() {
            prop_assert_eq!(fence.index, index);
            prop_assert!(fence.text.is_empty() || fence.text.ends_with('\n'));
            for (offset, line) in fence.text.lines().enumerate() {
                let source = lines[fence.first_line - 1 + offset];
                prop_assert_eq!(line, source.get(source.len() - line.len()..).unwrap_or(""));
                prop_assert!(source[..source.len() - line.len()].chars().all(|c| c == ' '));
            }
            let _ = parse(&fence.text, &fence.origin());
        }
        for misplaced in &found.misplaced {
            prop_assert!(misplaced.line <= lines.len());
            prop_assert!(lines[misplaced.line - 1].contains(['`', '~']), "{:?}", misplaced);
        }
    }

    #[test]
    fn reading_takes_any_text(text in "([\\[\\]{}:,#&*!|>'\"%@`?\\- \t\r\na-e0-9~.é\u{202E}\0\u{FEFF}]|steps:|outputs:|  - |name: |\n  ){0,200}") {
        let result = parse_document(&text);
        if let Err(found) = result {
            prop_assert!(!found.is_empty() && found.len() <= MAX_DIAGNOSTICS + 1);
            let lines = extract::normalize(&text).split('\n').count();
            for diagnostic in &found {
                prop_assert!(diagnostic.line >= 1 && diagnostic.line <= lines + 1, "{:?}", diagnostic);
                prop_assert!(codes::ALL.contains(&diagnostic.code));
                let shown = diagnostic.render_text();
                prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{:?}", shown);
            }
            prop_assert!(render_markdown(&found).len() < 30_000);
        }
    }

    #[test]
    fn a_brief_is_found_in_any_surroundings(
        before in surroundings(),
        after in surroundings(),
        mark in prop::sample::select(vec!['`', '~']),
        length in 3_usize..8,
        indent in 0_usize..4,
        ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let fence: String = std::iter::repeat_n(mark, length).collect();
        let margin = " ".repeat(indent);
        let block: String = format!("{fence}codex-brief\n{GOOD}{fence}\n")
            .lines()
            .map(|line| format!("{margin}{line}\n"))
            .collect();
        let line = before.matches('\n').count() + 2;
        let text = format!("{before}{block}{after}").replace('\n', ending);
        let found = extract(&text);
        prop_assert_eq!(found.fences.len(), 1, "{}", text);
        prop_assert_eq!(found.fences[0].first_line, line);
        prop_assert_eq!(&found.fences[0].text, GOOD);
        prop_assert!(parse(&found.fences[0].text, &found.fences[0].origin()).is_ok());
        let broken = found.fences[0].text.replace("branch: main", "branch: a..b");
        let problems = parse(&broken, &found.fences[0].origin()).unwrap_err();
        prop_assert_eq!((problems[0].line, problems[0].column), (line + 2, indent + 9));
    }
}
