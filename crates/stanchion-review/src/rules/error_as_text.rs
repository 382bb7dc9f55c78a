use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "error-as-text",
    title: "An error is told apart by its text",
    why: "Texts are for people and change with the next version of the library, silently.",
    source: "https://go.dev/blog/go1.13-errors; https://rust-lang.github.io/api-guidelines/interoperability.html#c-good-err",
    mend: "Match its type or code: `errors.Is`/`errors.As` in Go, a variant, kind or SQLSTATE in Rust.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn taken(err: &Error) -> bool {\n    err.to_string().contains(\"duplicate key\")\n}\n",
            good: "fn taken(err: &Error) -> bool {\n    err.code() == Some(UNIQUE_VIOLATION)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc taken(err error) bool {\n\treturn strings.Contains(err.Error(), \"duplicate key\")\n}\n",
            good: "package a\n\nfunc taken(err error) bool {\n\treturn errors.Is(err, ErrTaken)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    let asks = ["contains", "starts_with", "ends_with", "eq"];
    for call in calls(source).filter(|call| asks.contains(&call.name)) {
        if is_error_text(call.receiver_text()) && call.arg(0).is_some_and(|arg| literal(arg).is_some()) {
            found.at(call.node);
        }
    }
    for binary in source.each("binary_expression").filter(|node| node.has_token("==") || node.has_token("!=")) {
        if is_error_text(binary.field_text("left")) && binary.field("right").is_some_and(|right| literal(right).is_some()) {
            found.at(binary);
        }
    }
}

fn is_error_text(text: &str) -> bool {
    let Some(owner) = text.strip_suffix(".to_string()") else { return false };
    let last = owner.rsplit(['.', ' ', '&']).next().unwrap_or("");
    ["e", "err", "error"].contains(&last)
}

fn go(source: &Source, found: &mut Found) {
    let is_text = |text: &str| text.ends_with(".Error()") && says(text.trim_end_matches(".Error()"), &["err", "error", "e"]);
    for call in calls(source).filter(|call| ["strings.Contains", "strings.HasPrefix", "strings.HasSuffix", "strings.EqualFold"].contains(&call.path)) {
        if call.arg(0).is_some_and(|arg| is_text(arg.text())) {
            found.at(call.node);
        }
    }
    for binary in source.each("binary_expression").filter(|node| node.has_token("==") || node.has_token("!=")) {
        let sides = [binary.field("left"), binary.field("right")];
        let empty = sides.iter().flatten().any(|side| side.text() == "\"\"");
        if sides.iter().flatten().any(|side| is_text(side.text())) && !empty {
            found.at(binary);
        }
    }
}
