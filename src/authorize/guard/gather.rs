//! Reads the parts of a simple command: words, assignments, redirections.

use tree_sitter::Node;

use super::call::{Call, Folder, Redirect};
use super::parse::delimiter;
use super::script::Script;
use super::walk::Walk;
use super::word::Word;

impl Walk<'_, '_> {
    /// Adds what a node holds to a command, and visits what is substituted into it; the node `without` is
    /// left out.
    pub(super) fn gather(
        &mut self,
        node: Node<'_>,
        without: Option<usize>,
        script: &Script<'_>,
        folder: &Folder,
        call: &mut Call,
    ) {
        if node.kind() == "file_redirect" {
            return self.redirect(node, script, folder, call);
        }
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            if Some(child.id()) == without {
                continue;
            }
            match child.kind() {
                "comment" => {}
                "command" | "declaration_command" | "unset_command" | "test_command" => {
                    self.gather(child, None, script, folder, call);
                }
                "unary_expression" | "binary_expression" | "parenthesized_expression"
                    if node.kind() != "variable_assignment" =>
                {
                    self.gather(child, None, script, folder, call);
                }
                "variable_assignment" if node.kind() != "subscript" => {
                    let name = script.text(child).split(['=', '+', '[']).next().unwrap_or_default();
                    call.assigned.push(name.to_owned());
                    self.parts(child, script, folder);
                }
                "file_redirect" => self.redirect(child, script, folder, call),
                "heredoc_redirect" => self.heredoc(child, script, folder, call),
                "herestring_redirect" => self.herestring(child, script, folder, call),
                "subshell" => {
                    call.odd = Some("parentheses behind a command's name");
                    self.visit(child, script, folder);
                }
                _ if node.kind() == "variable_assignment" => drop(self.visit(child, script, folder)),
                _ => {
                    call.words.push(Word::read(child, script.source));
                    self.visit(child, script, folder);
                }
            }
        }
        if node.kind() == "variable_assignment" {
            let name = script.text(node).split(['=', '+', '[']).next().unwrap_or_default();
            call.assigned.push(name.to_owned());
        }
    }

    /// Reads a redirection; the grammar counts words behind the file to it, which bash gives to the command.
    fn redirect(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder, call: &mut Call) {
        let mut shown = String::new();
        let mut file = None;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            if !child.is_named() || child.kind() == "file_descriptor" {
                shown.push_str(script.text(child));
                continue;
            }
            self.visit(child, script, folder);
            let word = Word::read(child, script.source);
            if file.is_none() && !shown.ends_with('-') {
                file = Some(word);
            } else {
                call.words.push(word);
            }
        }
        if let Some(file) = &file {
            shown = format!("{shown} {}", file.shown);
        }
        let other = |word: &Word| {
            shown.contains('&')
                && word
                    .text()
                    .is_some_and(|text| text.trim_end_matches('-').bytes().all(|b| b.is_ascii_digit()))
        };
        let file = file.filter(|word| !other(word));
        call.redirects.push(Redirect { shown, file });
    }

    fn heredoc(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder, call: &mut Call) {
        let (mut start, mut quoted) = (String::new(), false);
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            match child.kind() {
                "heredoc_start" => {
                    start = script.text(child).to_owned();
                    quoted = delimiter(&start).is_some_and(|word| word != start);
                }
                "heredoc_body" => {
                    let text = script.text(child);
                    // What a quoted delimiter or plain text leaves alone is known.
                    let known = quoted || !text.contains(['$', '`', '\\']);
                    let body = script.source.get(child.start_byte()..child.end_byte()).filter(|_| known);
                    call.input = body.map(str::to_owned);
                    self.visit(child, script, folder);
                }
                "file_redirect" => self.redirect(child, script, folder, call),
                "herestring_redirect" => self.herestring(child, script, folder, call),
                "heredoc_end" | "file_descriptor" => {}
                "pipeline"
                | "list"
                | "command"
                | "subshell"
                | "redirected_statement"
                | "compound_statement"
                | "negated_command"
                | "if_statement"
                | "while_statement"
                | "for_statement"
                | "case_statement"
                | "declaration_command"
                | "unset_command"
                | "test_command"
                | "variable_assignment"
                | "variable_assignments"
                | "function_definition"
                | "c_style_for_statement" => {
                    self.visit(child, script, folder);
                }
                _ if child.is_named() => {
                    call.words.push(Word::read(child, script.source));
                    self.visit(child, script, folder);
                }
                _ => {}
            }
        }
        call.redirects.push(Redirect { shown: format!("<<{start}"), file: None });
    }

    fn herestring(&mut self, node: Node<'_>, script: &Script<'_>, folder: &Folder, call: &mut Call) {
        let mut cursor = node.walk();
        for child in node.named_children(&mut cursor).filter(|child| child.kind() != "file_descriptor") {
            call.input = Word::read(child, script.source).text().map(str::to_owned);
            self.visit(child, script, folder);
        }
        call.redirects.push(Redirect { shown: script.text(node).to_owned(), file: None });
    }
}
