//! `codex-brief schema`: prints the JSON Schema of a brief.

use std::io::{self, Write};

use clap::Args;

use crate::brief;

/// Prints the JSON Schema (draft 2020-12) of a brief, so that editors complete fields and mark
/// mistakes in YAML files that hold one brief.
///
/// In Visual Studio Code or any editor with a YAML language server, save the output as
/// `brief.schema.json` and begin the file with:
///
///   # yaml-language-server: $schema=brief.schema.json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct SchemaArgs {}

/// Prints the schema on standard output. Returns the exit code: 0, or 2 when nothing can be written.
pub fn run(_args: &SchemaArgs) -> u8 {
    match print(&mut io::stdout().lock()) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: the schema could not be written: {error}");
            2
        }
    }
}

fn print(out: &mut impl Write) -> io::Result<()> {
    out.write_all(brief::schema::json_text().as_bytes())?;
    out.flush()
}
