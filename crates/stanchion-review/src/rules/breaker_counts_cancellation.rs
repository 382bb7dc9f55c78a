use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "breaker-counts-cancellation",
    title: "A circuit breaker counts a caller's cancellation as a failure",
    why: "Impatient callers open the breaker of a healthy dependency.",
    source: "https://pkg.go.dev/github.com/sony/gobreaker#Settings (IsSuccessful)",
    mend: "Leave out `context.Canceled`: it says nothing about the other side.",
    point: Point::Errors,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {\n\terr := call(ctx)\n\tif err != nil {\n\t\tb.failures++\n\t}\n\treturn err\n}\n",
        good: "package a\n\nfunc (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {\n\terr := call(ctx)\n\tif err != nil && !errors.Is(err, context.Canceled) {\n\t\tb.failures++\n\t}\n\treturn err\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for function in functions(source).filter(|function| says(function.field_text("receiver"), &["breaker"]) && go_context(*function).is_some()) {
        let aware = source.has("Canceled") || source.has("ctx.Err()");
        let counts = function.each("inc_statement").find(|node| says(node.text(), &["failures", "failure", "errors", "fails"]));
        if let Some(node) = counts.filter(|_| !aware) {
            found.at(node);
        }
    }
}
