//! The targets of fuzzing, on the corpus and on inputs by chance: what `make fuzz` does for longer, and with
//! inputs that it grows by coverage.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

#[path = "../../fuzz/targets.rs"]
mod targets;

/// How many inputs by chance each target gets.
const INPUTS: u32 = 2_000;

/// Returns the inputs that are kept for a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut folders = vec![fixtures.join("fuzz").join(target)];
    if matches!(target, "brief" | "markdown") {
        folders.extend([fixtures.join("briefs/good"), fixtures.join("briefs/bad")]);
    }
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    files.map(|file| fs::read(file).unwrap()).collect()
}

#[test]
fn every_target_holds_on_its_corpus_and_on_inputs_by_chance() {
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml")).unwrap();
    for (name, run) in targets::TARGETS {
        assert!(own.contains(&format!("\nname = \"{name}\"\n")), "`make fuzz` does not know {name}");
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        for input in &corpus {
            run(input);
        }
        // Pieces of what is known, put together anew, come further than bytes by chance.
        let piece = (prop::sample::select(corpus), any::<(prop::sample::Index, prop::sample::Index)>());
        let piece = piece.prop_map(|(input, (from, to))| {
            let (from, to) = (from.index(input.len() + 1), to.index(input.len() + 1));
            input[from.min(to)..from.max(to)].to_vec()
        });
        let piece = prop_oneof![3 => piece, 1 => prop::collection::vec(any::<u8>(), 0..12)];
        let input = prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat());
        let config = ProptestConfig { cases: INPUTS, failure_persistence: None, ..ProptestConfig::default() };
        let tried = TestRunner::new(config).run(&input, |input| {
            run(&input);
            Ok(())
        });
        assert!(tried.is_ok(), "{name}: {}", tried.unwrap_err());
    }
}
