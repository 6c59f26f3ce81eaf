//! Holds the import direction of the rooms: `docs/architecture.md` says what may import what, and the
//! code does not say otherwise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy.toml lets off only #[test] functions

mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use paths::paths;

const DOC: &str = "docs/architecture.md";

/// The table of rooms, as the document has it.
struct Table {
    /// What each room may import; itself always.
    allowed: BTreeMap<String, BTreeSet<String>>,
    /// The rooms that do no I/O.
    rules: BTreeSet<String>,
    /// What those may not name, such as `std::fs`.
    banned: Vec<Vec<String>>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the words that stand in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Reads the rows between `<!-- import table -->` and the next empty line, and the list after
/// `Rooms of kind `rules` name none of`.
fn table(doc: &str) -> Table {
    let (mut allowed, mut rules) = (BTreeMap::new(), BTreeSet::new());
    let rows = doc.split("<!-- import table -->").nth(1).expect("the marker of the import table");
    let rows = rows.trim_start().lines().skip(2).take_while(|line| line.starts_with('|'));
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [room, kind, imports] = cells[..] else { panic!("{DOC}: a row needs three cells: {row}") };
        let room = quoted(room).pop().unwrap_or_else(|| panic!("{DOC}: no room in backticks: {row}"));
        match kind {
            "rules" => drop(rules.insert(room.clone())),
            "I/O" | "top" => {}
            _ => panic!("{DOC}: the kind of `{room}` is none of rules, I/O, top"),
        }
        assert!(
            allowed.insert(room.clone(), quoted(imports).into_iter().collect()).is_none(),
            "{DOC}: {room} twice"
        );
    }
    assert!(!allowed.is_empty() && !rules.is_empty(), "{DOC}: the import table is empty");
    let banned =
        doc.split("Rooms of kind `rules` name none of").nth(1).expect("the list of what rules do not name");
    let banned = banned.split("\n\n").next().unwrap_or_default();
    let banned = quoted(banned).iter().map(|path| path.split("::").map(str::to_owned).collect()).collect();
    Table { allowed, rules, banned }
}

/// Returns every Rust file below `folder`, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Returns the module path of a file below `src`: `brief/extract.rs` → `brief`, `extract`.
fn module(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Returns the room that `path` reaches from `module`, if it names one of this crate.
fn room_of<'p>(
    path: &'p [String],
    module: &[String],
    rooms: &BTreeMap<String, BTreeSet<String>>,
) -> Option<&'p str> {
    match path.first().map(String::as_str) {
        Some("crate" | "codex_brief") => path.get(1).map(String::as_str).filter(|room| *room != "self"),
        Some("super") => {
            // `super::super::store` out of a room is an import like any other.
            let up = path.iter().take_while(|part| *part == "super").count();
            let next = path.get(up).map(String::as_str)?;
            (up >= module.len() && rooms.contains_key(next)).then_some(next)
        }
        _ => None,
    }
}

/// Returns what is wrong in one file, each with its line and what to do.
fn violations(table: &Table, file: &Path, source: &str) -> Vec<String> {
    let module = module(file);
    let room = module[0].as_str();
    if room == "lib" {
        return Vec::new();
    }
    let place = format!("src/{}", file.display());
    let Some(allowed) = table.allowed.get(room) else {
        return vec![format!(
            "{place}: the room `{room}` is not in the import table of {DOC}; give it a row there"
        )];
    };
    // One violation a line and target, however many things of it are named.
    let mut out = BTreeMap::new();
    for (line, path) in paths(source) {
        let written = path.join("::");
        if let Some(to) = room_of(&path, &module, &table.allowed)
            && to != room
            && !allowed.contains(to)
        {
            let what = if table.allowed.contains_key(to) {
                format!(
                    "`{room}` may not import `{to}`; move the code, or hand the thing in; only if the direction \
                         itself is wrong, change the row of `{room}` in {DOC}"
                )
            } else {
                format!("`{to}` is no room of the import table of {DOC}; name the room that holds it")
            };
            out.entry((line, to.to_owned()))
                .or_insert_with(|| format!("{place}:{line}: `{written}`: {what}"));
        }
        if table.rules.contains(room)
            && let Some(banned) = table.banned.iter().find(|banned| path.starts_with(banned))
        {
            let what = format!(
                "`{room}` is rules and does no I/O, so it does not name `{}`; let the caller read, and \
                                hand the content in",
                banned.join("::")
            );
            out.entry((line, banned.join("::")))
                .or_insert_with(|| format!("{place}:{line}: `{written}`: {what}"));
        }
    }
    out.into_values().collect()
}

#[test]
fn imports_point_one_way() {
    let doc = fs::read_to_string(root().join(DOC)).expect(DOC);
    let table = table(&doc);
    let src = root().join("src");
    let found: Vec<String> = rust_files(&src)
        .iter()
        .flat_map(|file| {
            let source = fs::read_to_string(file).expect("a source file");
            violations(&table, file.strip_prefix(&src).expect("a file below src"), &source)
        })
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn import_table_has_no_circle() {
    let doc = fs::read_to_string(root().join(DOC)).expect(DOC);
    let mut left = table(&doc).allowed;
    for (room, imports) in &left {
        for import in imports {
            assert!(
                left.contains_key(import),
                "{DOC}: the row of `{room}` names `{import}`, which has no row"
            );
        }
    }
    // Rooms that import nothing that is left go; what stays imports itself in the end.
    loop {
        let free: Vec<String> = left
            .iter()
            .filter(|(_, i)| !i.iter().any(|i| left.contains_key(i)))
            .map(|(r, _)| r.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|room, _| !free.contains(room));
    }
    assert!(left.is_empty(), "{DOC}: these rooms import each other in a circle: {:?}", left.keys());
}

#[test]
fn every_way_to_import_is_seen() {
    let doc = "<!-- import table -->\n\n| Room | Kind | May import |\n|---|---|---|\n| `brief` | rules | `error` |\n\
               | `error` | rules | – |\n| `store` | I/O | `brief` |\n\nRooms of kind `rules` name none of `sqlx`, `std::fs`.\n\nEnd.";
    let table = table(doc);
    let bad = [
        "use crate::store::Blobs;",
        "use crate::{error::E, store};",
        "use crate::{\n    error::{A, B},\n    store::{self, C},\n};",
        "use super::store::X;",
        "fn f() { crate::store::open() }",
        "pub use crate :: store;",
        "macro_rules! m { () => { $crate::store::x() } }",
        "use std::fs::File;",
        "use std::{io, fs};",
        "use sqlx;",
        "fn f<'a>(x: &'a str) -> char { let _ = sqlx::query(\"x\"); '\"' }",
        "use crate::nowhere::X;",
    ];
    for source in bad {
        let found = violations(&table, Path::new("brief/mod.rs"), source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert!(found[0].starts_with("src/brief/mod.rs:"), "{found:?}");
    }
    let good = [
        "// use crate::store;\n/* crate::store /* nested */ std::fs */\n//! [`crate::store`]",
        "const A: &str = \"crate::store \\\" std::fs\"; const B: &str = r#\"use \"crate::store\"\"#;",
        "use crate::{error::E, brief::{self, X}}; use super::brief; use std::io;",
        "fn f() { let store = 1; mystd::fs(store); 'l: loop { break 'l; } }",
        "pub(crate) mod fs {}",
    ];
    for source in good {
        assert_eq!(violations(&table, Path::new("brief/mod.rs"), source), Vec::<String>::new(), "{source}");
    }
    let line = violations(&table, Path::new("brief/a.rs"), "\n\"a\nb\";\nuse super::super::store;");
    assert!(line[0].starts_with("src/brief/a.rs:4: `super::super::store`"), "{line:?}");
    assert!(violations(&table, Path::new("new.rs"), "")[0].contains("give it a row"));
}
