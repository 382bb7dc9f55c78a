use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "cancel-dropped",
    title: "The cancel function of a context is thrown away",
    why: "Its timer and its place in the parent live until the timeout, or for ever.",
    source: "https://pkg.go.dev/context#CancelFunc",
    mend: "`ctx, cancel := ..` and `defer cancel()`.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc call(ctx context.Context) error {\n\tctx, _ = context.WithTimeout(ctx, time.Second)\n\treturn work(ctx)\n}\n",
        good: "package a\n\nfunc call(ctx context.Context) error {\n\tctx, cancel := context.WithTimeout(ctx, time.Second)\n\tdefer cancel()\n\treturn work(ctx)\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["context.WithTimeout", "context.WithCancel", "context.WithDeadline"].contains(&call.path)) {
        if binding(call.node).is_some_and(|(_, names)| names.last() == Some(&"_")) {
            found.at(call.node);
        }
    }
}
