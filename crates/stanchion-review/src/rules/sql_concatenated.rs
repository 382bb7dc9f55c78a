use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "sql-concatenated",
    title: "A value is put into SQL as text",
    why: "Whoever chooses the value writes the statement.",
    source: "https://owasp.org/www-community/attacks/SQL_Injection (CWE-89)",
    mend: "Bind it: `$1` or `?` and a parameter.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "async fn find(db: &Db, name: &str) -> Rows {\n    db.query(&format!(\"select id from users where name = '{name}'\")).await\n}\n",
            good: "async fn find(db: &Db, name: &str, table: &str) -> Rows {\n    db.query(&format!(\"select id from {table} where name = $1\"), &[&name]).await\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc find(db *sql.DB, name string) string {\n\treturn fmt.Sprintf(\"SELECT id FROM users WHERE name = '%s'\", name)\n}\n",
            good: "package a\n\nfunc find(ctx context.Context, db *sql.DB, name string) *sql.Row {\n\treturn db.QueryRowContext(ctx, \"SELECT id FROM users WHERE name = $1\", name)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for node in source.each("macro_invocation").filter(|node| ["format", "format_args"].contains(&node.field_text("macro"))) {
        let Some(text) = node.below().find_map(literal) else { continue };
        if is_sql(text) && !fills_in_constants(node) && holes(text, '{').any(|(before, after)| !after.starts_with('{') && value_place(before)) {
            found.at(node);
        }
    }
}

/// Whether everything that is put in is a constant of the program by its name: `format!("…", Service::NAME)`.
fn fills_in_constants(format: Node<'_>) -> bool {
    let Some(tokens) = format.children().find(|child| child.is("token_tree")) else { return false };
    let text = tokens.text().trim_end_matches(')').trim_end().trim_end_matches(',');
    let inline = tokens.each("string_literal").chain(tokens.each("raw_string_literal")).any(|literal| literal.text().split('{').skip(1).any(|part| part.starts_with(char::is_lowercase)));
    let Some((_, last)) = text.rsplit_once(['"', '#']) else { return false };
    let values: Vec<&str> = last.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
    let constant = |value: &&str| value.rsplit("::").next().unwrap_or("").chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    !inline && !values.is_empty() && values.iter().all(constant)
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path == "fmt.Sprintf") {
        let Some(text) = call.arg(0).and_then(literal) else { continue };
        if is_sql(text) && holes(text, '%').any(|(before, after)| after.starts_with(['s', 'v']) && value_place(before)) {
            found.at(call.node);
        }
    }
    for binary in source.each("binary_expression").filter(|node| node.has_token("+")) {
        let (Some(left), Some(right)) = (binary.field("left"), binary.field("right")) else { continue };
        let variable = literal(right).is_none() && !right.text().contains("strconv.Itoa") && !right.text().contains("FormatInt");
        let names = right.text().chars().all(|letter| letter.is_alphanumeric() || "_.[]()".contains(letter));
        if let Some(text) = literal(left)
            && is_sql(text) && value_place(text) && variable && names
        {
            found.at(binary);
        }
    }
}

/// Places where something is put in: what stands before and after.
fn holes(text: &str, mark: char) -> impl Iterator<Item = (&str, &str)> {
    text.char_indices().filter(move |(_, letter)| *letter == mark).map(|(at, _)| (&text[..at], &text[at + 1..]))
}

/// Whether a value stands here, rather than the name of a table, a column list or the number of a parameter.
fn value_place(before: &str) -> bool {
    // The catalogue's functions take a table's name as a text.
    if before.contains("pragma_") {
        return false;
    }
    let before = before.trim_end_matches(' ');
    if before.ends_with(['$', ':', '?', '@', '"', '`']) {
        return false;
    }
    let quotes = before.matches('\'').count();
    let bare = before.ends_with('=') || before.ends_with('>') || before.ends_with('<');
    // `= {}` may be filled with `$3`, which only its quote rules out.
    quotes % 2 == 1 || (bare && before.ends_with("= ") && quotes > 0)
}
