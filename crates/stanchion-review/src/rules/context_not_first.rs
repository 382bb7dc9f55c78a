use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "context-not-first",
    title: "The context is not the first parameter",
    why: "Readers and tools look for it there; elsewhere it is forgotten when the next function is written.",
    source: "https://go.dev/wiki/CodeReviewComments#contexts",
    mend: "Make `ctx context.Context` the first parameter.",
    point: Point::Concurrency,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc find(id string, ctx context.Context) error { return nil }\n",
        good: "package a\n\nfunc find(ctx context.Context, id string) error { return nil }\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for function in functions(source) {
        let at = go_parameters(function).iter().position(|(_, kind)| kind.text() == "context.Context");
        if at.is_some_and(|at| at > 0) {
            found.at(function.field("name").unwrap_or(function));
        }
    }
}
