use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "context-kept",
    title: "A context is kept in a struct",
    why: "It belongs to one call; kept, it cancels later calls by the end of an earlier one, or never.",
    source: "https://go.dev/blog/context-and-structs",
    mend: "Pass it to the methods that need it.",
    point: Point::Concurrency,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\ntype Store struct {\n\tctx context.Context\n\tdb  *DB\n}\n",
        good: "package a\n\ntype Store struct {\n\tdb *DB\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for field in fields(source).iter().filter(|field| field.kind == "context.Context") {
        found.at(field.node);
    }
}
