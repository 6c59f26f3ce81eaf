//! Problems as GitHub Actions takes them from a log: annotations on the lines of files.

use crate::brief::{Diagnostic, Severity};

/// Returns the workflow command that marks a problem in a file; one line.
pub(super) fn command(file: &str, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let Diagnostic { line, column, code, message, help, .. } = diagnostic;
    let file = property(file);
    format!(
        "::{level} file={file},line={line},col={column},title={code}::{}",
        data(&format!("{message}\n{help}"))
    )
}

/// Writes what follows the second `::` so that it stays one line, and is no other command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_command_whatever_it_quotes() {
        let diagnostic = Diagnostic {
            code: "brief-branch",
            severity: Severity::Error,
            line: 6,
            column: 9,
            message: "`a%\r\n::stop-commands::x` is no branch.".into(),
            help: "Write another.".into(),
            snippet: None,
        };
        assert_eq!(
            command("a,b:c\n.md", &diagnostic),
            "::error file=a%2Cb%3Ac%0A.md,line=6,col=9,title=brief-branch::`a%25%0D%0A::stop-commands::x` is no \
             branch.%0AWrite another."
        );
    }
}
