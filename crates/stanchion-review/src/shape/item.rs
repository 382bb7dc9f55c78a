//! Bindings, macros, fields, attributes: what stands around an expression.

use crate::node::Node;
use crate::source::Source;

/// The names on the left and the value on the right of `let`, `:=` or `=`.
pub(crate) fn binding<'a>(value: Node<'a>) -> Option<(Node<'a>, Vec<&'a str>)> {
    let statement = value.up(&[
        "let_declaration",
        "short_var_declaration",
        "assignment_statement",
        "assignment_expression",
    ])?;
    let right = statement
        .field("value")
        .or_else(|| statement.field("right"))?;
    if right != value && !right.contains(value) {
        return None;
    }
    let left = statement
        .field("pattern")
        .or_else(|| statement.field("left"))?;
    let names = left
        .text()
        .split(',')
        .map(|name| name.trim().trim_start_matches("mut "))
        .collect();
    Some((statement, names))
}

/// Whether a name leaves a Go function: returned, passed on, put into a field, a literal or a channel.
pub(crate) fn escapes(body: Node<'_>, name: &str, after: usize) -> bool {
    body.each("identifier")
        .filter(|id| id.start() > after && id.text() == name)
        .any(|id| {
            let Some(parent) = id.parent() else {
                return false;
            };
            match parent.kind() {
                "argument_list" | "return_statement" | "literal_element" | "keyed_element"
                | "send_statement" => true,
                "unary_expression" => parent.text().starts_with('&'),
                "expression_list" => parent.parent().is_some_and(|up| {
                    up.is("return_statement")
                        || (["assignment_statement", "short_var_declaration"].contains(&up.kind())
                            && up.field("right") == Some(parent))
                }),
                _ => false,
            }
        })
}

/// Whether a call's value is thrown away: a statement of its own.
pub(crate) fn is_statement(node: Node<'_>) -> bool {
    node.parent().is_some_and(|parent| {
        ["expression_statement", "block", "statement_list"].contains(&parent.kind())
    })
}

/// Macro calls of a Rust file: the node, the macro's last word, its tokens as text.
pub(crate) fn macros(source: &Source) -> impl Iterator<Item = (Node<'_>, &str, &str)> {
    source.each("macro_invocation").map(|node| {
        let name = node.field_text("macro").rsplit("::").next().unwrap_or("");
        let tokens = node
            .children()
            .find(|child| child.is("token_tree"))
            .map_or("", Node::text);
        (node, name, tokens)
    })
}

/// Fields of structs: the struct, its name, the field's node, name and type.
pub(crate) fn fields(source: &Source) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    for field in source.each("field_declaration") {
        let owner = field.up(&["struct_item", "type_spec", "enum_variant"]);
        let kind = field.field_text("type");
        for name in field.named().filter(|node| node.is("field_identifier")) {
            all.push(Field {
                node: field,
                owner,
                name: name.text(),
                kind,
            });
        }
    }
    all
}

/// A field of a struct.
pub(crate) struct Field<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) owner: Option<Node<'a>>,
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
}

impl Field<'_> {
    pub(crate) fn owner_name(&self) -> &str {
        self.owner.map_or("", |owner| owner.field_text("name"))
    }
}

/// Attributes that stand before an item.
pub(crate) fn attributes(item: Node<'_>) -> Vec<&str> {
    let Some(parent) = item.parent() else {
        return Vec::new();
    };
    let mut run = Vec::new();
    for child in parent.children() {
        if child == item {
            return run;
        }
        if child.is("attribute_item") {
            run.push(child.text());
        } else if !child.kind().ends_with("comment") {
            run.clear();
        }
    }
    Vec::new()
}

/// Keyed elements of a Go composite literal.
pub(crate) fn keys<'a>(literal: Node<'a>) -> Vec<(&'a str, &'a str)> {
    let Some(body) = literal.field("body") else {
        return Vec::new();
    };
    body.named()
        .filter(|node| node.is("keyed_element"))
        .filter_map(|node| node.text().split_once(':'))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect()
}
