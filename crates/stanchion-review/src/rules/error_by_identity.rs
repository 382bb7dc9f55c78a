use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "error-by-identity",
    title: "A sentinel error is compared with ==",
    why: "The first caller that wraps the error with context makes the comparison false, and the case is handled as unknown.",
    source: "https://go.dev/blog/go1.13-errors",
    mend: "Use `errors.Is(err, ErrX)`.",
    point: Point::Errors,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc find(err error) bool {\n\treturn err == sql.ErrNoRows\n}\n",
        good: "package a\n\nfunc find(err error) bool {\n\treturn errors.Is(err, sql.ErrNoRows) || err == io.EOF\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for binary in source.each("binary_expression").filter(|node| node.has_token("==") || node.has_token("!=")) {
        let (left, right) = (binary.field_text("left"), binary.field_text("right"));
        let sentinel = |text: &str| {
            let last = text.rsplit('.').next().unwrap_or("");
            (last.starts_with("Err") && last.len() > 3 && last.chars().nth(3).is_some_and(char::is_uppercase)) || ["context.Canceled", "context.DeadlineExceeded"].contains(&text)
        };
        let error = |text: &str| ["err", "e", "error"].contains(&text) || text.ends_with("Err");
        if (error(left) && sentinel(right)) || (error(right) && sentinel(left)) {
            found.at(binary);
        }
    }
}
