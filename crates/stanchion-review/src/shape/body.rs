//! What runs as one: functions, closures, loops.

use crate::model::Language;
use crate::node::Node;

const RUST_BODIES: [&str; 4] = [
    "function_item",
    "closure_expression",
    "async_block",
    "gen_block",
];
const GO_BODIES: [&str; 3] = ["function_declaration", "method_declaration", "func_literal"];

/// The nearest body that runs as one: a function, a closure, an async block.
pub(crate) fn body_of(node: Node<'_>) -> Option<Node<'_>> {
    match node.source().language {
        Language::Rust => node.up(&RUST_BODIES),
        _ => node.up(&GO_BODIES),
    }
}

/// The nearest function with a name.
pub(crate) fn function_of(node: Node<'_>) -> Option<Node<'_>> {
    node.up(&[
        "function_item",
        "function_declaration",
        "method_declaration",
    ])
}

/// Whether this runs on an executor of futures.
pub(crate) fn in_async(node: Node<'_>) -> bool {
    body_of(node).is_some_and(is_async)
}

/// Whether a Rust body is async.
pub(crate) fn is_async(body: Node<'_>) -> bool {
    match body.kind() {
        "async_block" => true,
        "function_item" => body
            .children()
            .any(|child| child.is("function_modifiers") && child.text().contains("async")),
        "closure_expression" => body.has_token("async"),
        _ => false,
    }
}

/// Whether two nodes run in the same body.
pub(crate) fn same_body(one: Node<'_>, other: Node<'_>) -> bool {
    body_of(one).map(Node::start) == body_of(other).map(Node::start)
}

/// The nearest loop around a node in the same body.
pub(crate) fn loop_of(node: Node<'_>) -> Option<Node<'_>> {
    let found = node.up(&[
        "for_expression",
        "while_expression",
        "loop_expression",
        "for_statement",
    ])?;
    let held = match found.field("body") {
        Some(body) => body.contains(node),
        None => false,
    };
    (held && same_body(node, found)).then_some(found)
}

/// Whether a loop has no condition of its own: `loop {}`, `for {}`.
pub(crate) fn is_endless(node: Node<'_>) -> bool {
    node.is("loop_expression")
        || (node.is("for_statement") && node.named().all(|child| child.is("block")))
}

/// Whether the loop goes over the elements of something, not over a range of numbers.
pub(crate) fn is_over_items(node: Node<'_>) -> bool {
    match node.kind() {
        "for_expression" => !node
            .field("value")
            .is_some_and(|value| value.text().contains("..")),
        "for_statement" => node.named().any(|child| child.is("range_clause")),
        _ => false,
    }
}

/// A number of tries: `for _ in 0..3`, `for i := 0; i < 3; i++`.
pub(crate) fn is_counted(node: Node<'_>) -> bool {
    match node.kind() {
        "for_expression" => node
            .field("value")
            .is_some_and(|value| value.text().contains("..")),
        "for_statement" => node.named().any(|child| child.is("for_clause")),
        _ => false,
    }
}
