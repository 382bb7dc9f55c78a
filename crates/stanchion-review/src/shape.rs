//! The shapes that rules ask for, alike in both languages: calls, functions, loops, handlers, texts.

use crate::model::Language;
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

/// Parameters of a Go function: name and type.
pub(crate) fn go_parameters(function: Node<'_>) -> Vec<(&str, Node<'_>)> {
    let Some(list) = function.field("parameters") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for declaration in list.named().filter(|node| node.is("parameter_declaration")) {
        let Some(kind) = declaration.field("type") else {
            continue;
        };
        let names: Vec<_> = declaration
            .named()
            .filter(|node| node.is("identifier"))
            .collect();
        if names.is_empty() {
            all.push(("", kind));
        }
        all.extend(names.into_iter().map(|name| (name.text(), kind)));
    }
    all
}

/// Name of the `context.Context` of a Go function.
pub(crate) fn go_context(function: Node<'_>) -> Option<&str> {
    go_parameters(function)
        .into_iter()
        .find(|(name, kind)| kind.text() == "context.Context" && !["", "_"].contains(name))
        .map(|(name, _)| name)
}

/// Whether a function answers one request: its signature takes what only servers give.
pub(crate) fn is_handler(function: Node<'_>) -> bool {
    match function.source().language {
        Language::Rust => rust_handler(function),
        Language::Go => go_parameters(function).iter().any(|(_, kind)| {
            let text = kind.text();
            [
                "http.ResponseWriter",
                "*gin.Context",
                "echo.Context",
                "*fiber.Ctx",
                "*fasthttp.RequestCtx",
            ]
            .contains(&text)
        }),
        _ => false,
    }
}

fn rust_handler(function: Node<'_>) -> bool {
    let parameters = function.field_text("parameters");
    let source = function.source();
    let extractors = [
        "State<",
        "Json<",
        "Path<",
        "Query<",
        "Form<",
        "Extension<",
        "web::Data<",
        "HttpRequest",
        "TypedHeader<",
    ];
    let framework = source.has_any(&[
        "axum",
        "actix_web",
        "rocket",
        "poem",
        "salvo",
        "ntex",
        "warp",
    ]);
    let grpc = parameters.contains("Request<")
        && function.field_text("return_type").contains("Response<")
        && source.has("tonic");
    let extracted = framework
        && extractors
            .iter()
            .any(|extractor| parameters.contains(extractor));
    grpc || (extracted && is_async(function))
}

/// The text between the quotes of a string literal.
pub(crate) fn literal<'a>(node: Node<'a>) -> Option<&'a str> {
    let text = node.text();
    match node.kind() {
        "string_literal" | "interpreted_string_literal" => text
            .trim_start_matches(['b', 'c'])
            .strip_prefix('"')?
            .strip_suffix('"'),
        "raw_string_literal" => {
            let text = text
                .trim_start_matches(['b', 'r', '#', '`'])
                .trim_end_matches(['#', '`']);
            Some(text.strip_prefix('"').unwrap_or(text))
                .map(|text| text.strip_suffix('"').unwrap_or(text))
        }
        _ => None,
    }
}

/// String literals of a file.
pub(crate) fn literals(source: &Source) -> impl Iterator<Item = (Node<'_>, &str)> {
    [
        "string_literal",
        "interpreted_string_literal",
        "raw_string_literal",
    ]
    .into_iter()
    .flat_map(|kind| source.each(kind))
    .filter_map(|node| literal(node).map(|text| (node, text)))
}

/// Whether a text is SQL that reads or changes rows.
pub(crate) fn is_sql(text: &str) -> bool {
    let head: String = text
        .trim_start()
        .chars()
        .take(4000)
        .collect::<String>()
        .to_ascii_lowercase();
    (head.starts_with("select ") && head.contains(" from "))
        || head.starts_with("insert into ")
        || (head.starts_with("update ") && head.contains(" set "))
        || head.starts_with("delete from ")
        || (head.starts_with("with ") && head.contains("select "))
        || (head.starts_with("select\n") && head.contains("from "))
}

/// The words of a name: `userID` and `user_id` are `user`, `id`; `TLSErrors` is `tls`, `errors`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut lower_before = false;
    let letters: Vec<char> = name.chars().take(120).collect();
    for (at, letter) in letters.iter().copied().enumerate() {
        if !letter.is_alphanumeric() {
            lower_before = false;
            all.push(String::new());
            continue;
        }
        let upper_before = at > 0 && letters[at - 1].is_uppercase();
        let lower = |ahead: usize| {
            letters
                .get(at + ahead)
                .is_some_and(|letter| letter.is_lowercase())
        };
        // `IDs` is one word, `TLSErrors` two.
        let ends_initials = letter.is_uppercase() && upper_before && lower(1) && lower(2);
        if (letter.is_uppercase() && lower_before) || ends_initials || all.is_empty() {
            all.push(String::new());
        }
        lower_before = letter.is_lowercase() || letter.is_numeric();
        if let Some(word) = all.last_mut() {
            word.extend(letter.to_lowercase());
        }
    }
    all.retain(|word| !word.is_empty());
    all
}

/// Whether a name holds one of these words; a word of two is written with `_`.
pub(crate) fn says(name: &str, wanted: &[&str]) -> bool {
    let joined = format!("_{}_", words(name).join("_"));
    wanted
        .iter()
        .any(|word| joined.contains(&format!("_{word}_")))
}

/// Whether the text holds this word, cut at its borders.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let border = |letter: Option<char>| {
        letter.is_none_or(|letter| !letter.is_alphanumeric() && letter != '_')
    };
    text.match_indices(word).any(|(at, _)| {
        border(text[..at].chars().next_back()) && border(text[at + word.len()..].chars().next())
    })
}

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
