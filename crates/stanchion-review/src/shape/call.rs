//! Calls of functions and methods.

use crate::node::Node;
use crate::source::Source;

/// A call of a function or method.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) node: Node<'a>,
    /// The last word of what is called: `query` of `self.pool.query`.
    pub(crate) name: &'a str,
    /// All of what is called, without type arguments: `self.pool.query`, `tokio::spawn`.
    pub(crate) path: &'a str,
    /// What stands before the last dot.
    pub(crate) receiver: Option<Node<'a>>,
}

impl<'a> Call<'a> {
    /// Reads a call expression.
    pub(crate) fn of(node: Node<'a>) -> Option<Self> {
        let mut function = node.field("function")?;
        if function.is("generic_function") {
            function = function.field("function")?;
        }
        let (name, receiver) = match function.kind() {
            "field_expression" => (function.field_text("field"), function.field("value")),
            "selector_expression" => (function.field_text("field"), function.field("operand")),
            "scoped_identifier" => (function.field_text("name"), None),
            _ => (function.text(), None),
        };
        Some(Self {
            node,
            name,
            path: function.text(),
            receiver,
        })
    }

    pub(crate) fn args(&self) -> Vec<Node<'a>> {
        self.node
            .field("arguments")
            .map_or_else(Vec::new, |arguments| arguments.named().collect())
    }

    pub(crate) fn arg(&self, index: usize) -> Option<Node<'a>> {
        self.node
            .field("arguments")
            .and_then(|arguments| arguments.named().nth(index))
    }

    pub(crate) fn args_text(&self) -> &'a str {
        self.node.field_text("arguments")
    }

    pub(crate) fn receiver_text(&self) -> &'a str {
        self.receiver.map_or("", Node::text)
    }

    /// The last word of the receiver: `pool` of `self.pool.query()`, of `app.pool().query()` too.
    pub(crate) fn receiver_word(&self) -> &'a str {
        let text = self
            .receiver_text()
            .trim_end_matches("()")
            .trim_end_matches(".await")
            .trim_end_matches('?');
        text.rsplit(['.', ':']).next().unwrap_or("").trim()
    }
}

/// Calls of a file.
pub(crate) fn calls(source: &Source) -> impl Iterator<Item = Call<'_>> {
    source.each("call_expression").filter_map(Call::of)
}

/// Calls below a node.
pub(crate) fn calls_in<'a>(node: Node<'a>) -> impl Iterator<Item = Call<'a>> {
    node.each("call_expression").filter_map(Call::of)
}
