//! What is known of a script as a whole.

use std::collections::HashMap;

use tree_sitter::{Node, Tree};

use super::call::Call;
use super::parse::for_each;

/// A script that is gone through.
pub(super) struct Script<'s> {
    pub source: &'s str,
    /// Holds the line of the command that runs it, for a script within a script.
    pub line: Option<usize>,
    pub functions: HashMap<String, Function>,
    /// Tells that it may change its folder somewhere.
    pub moves: bool,
}

/// A function of a script.
pub(super) struct Function {
    /// Counts the bytes of the script before its end.
    pub end: usize,
    /// Tells that it is defined whatever happens before.
    pub certain: bool,
    /// Tells that calling it may change the folder.
    pub moves: bool,
}

impl<'s> Script<'s> {
    pub(super) fn new(tree: &Tree, source: &'s str, line: Option<usize>) -> Self {
        let mut functions = HashMap::new();
        define(tree.root_node(), source, &mut functions);
        Self { source, line, functions, moves: moves(source) }
    }

    pub(super) fn text(&self, node: Node<'_>) -> &'s str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    pub(super) fn line_of(&self, node: Node<'_>) -> usize {
        self.line.unwrap_or(node.start_position().row + 1)
    }

    pub(super) fn call(&self, node: Node<'_>) -> Call {
        Call { line: self.line_of(node), start: node.start_byte(), ..Call::default() }
    }
}

/// Tells whether a text may change the folder.
pub(super) fn moves(text: &str) -> bool {
    ["cd", "pushd", "popd"].iter().any(|word| text.contains(word))
}

/// Collects the functions of a script.
fn define(root: Node<'_>, source: &str, out: &mut HashMap<String, Function>) {
    let text = |node: Node<'_>| source.get(node.byte_range()).unwrap_or_default();
    for_each(root.walk(), |node, above| {
        if node.kind() != "function_definition" {
            return;
        }
        let Some(name) = node.child_by_field_name("name") else { return };
        let certain = above.last().is_some_and(|parent| parent.kind() == "program");
        let body = text(node);
        let function = Function { end: node.end_byte(), certain, moves: moves(body) };
        // The first of several is certain from its end on; all of them have rows.
        let known = out.entry(text(name).to_owned()).or_insert(function);
        known.moves |= moves(body);
    });
}
