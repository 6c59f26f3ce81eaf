//! Takes the texts of comments from the files that the steps left.

use std::path::Path;

use super::attempt::problem;
use crate::run::output::{OutputKind, OutputReport, kept, read};
use crate::run::redact::Redactor;
use crate::run::report::Problem;

/// Reads the text of each comment that stands in a file, masked, and notes where there is none. Returns where
/// honeytokens are, for people and without the tokens.
///
/// Fails when the machine does, rather than what the steps left.
pub(super) fn take(
    outputs: &mut [OutputReport],
    checkout: &Path,
    redactor: &Redactor,
) -> anyhow::Result<Vec<String>> {
    let watch = redactor.watch();
    let mut seen = Vec::new();
    let comments = outputs.iter_mut().filter(|output| output.kind == OutputKind::Comment);
    for output in comments {
        let Some(path) = output.path.clone() else { continue };
        let shown = String::from_utf8_lossy(&redactor.redact(path.as_bytes())).into_owned();
        let bytes = match read(checkout, &path)? {
            Ok(bytes) if bytes.contains(&0) => Err("is not text"),
            Ok(bytes) if bytes.trim_ascii().is_empty() => Err("is empty"),
            read => read,
        };
        match bytes {
            Ok(bytes) if watch.saw(&bytes) => seen.push(format!("the file \"{shown}\" for a comment")),
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&redactor.redact(&bytes)).into_owned();
                let (text, cut) = kept(&text, bytes.len() as u64);
                (output.text, output.text_cut) = (Some(text), cut);
            }
            Err(why) => output.problems.push(unusable(&shown, why)),
        }
        output.path = Some(shown);
    }
    Ok(seen)
}

fn unusable(path: &str, why: &str) -> Problem {
    problem(
        "comment-file-unusable",
        format!("There is no comment from `{path}`, since it {why}."),
        "Let a step write the text into a plain file inside the repository, at the path that `body_file` names; then post \
         the brief again.",
    )
}
