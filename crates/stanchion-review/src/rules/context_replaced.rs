use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "context-replaced",
    title: "A call gets a background context though its caller gave one",
    why: "The deadline, the cancellation and the trace of the request end here: the work goes on after the caller went away.",
    source: "https://go.dev/blog/context; https://pkg.go.dev/context#WithoutCancel",
    mend: "Pass the caller's context; for work that must outlive it, `context.WithoutCancel(ctx)` with a timeout of its own.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc (s *Store) Find(ctx context.Context, id string) (*Row, error) {\n\treturn s.query(context.Background(), id)\n}\n",
        good: "package a\n\nfunc (s *Store) Find(ctx context.Context, id string) (*Row, error) {\n\treturn s.query(ctx, id)\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["context.Background", "context.TODO"].contains(&call.path)) {
        let Some(function) = body_of(call.node).filter(|body| !body.is("func_literal")) else { continue };
        let Some(name) = go_context(function) else { continue };
        let before = &function.text()[..call.node.start() - function.start()];
        // After the end of its context a function needs another one to tidy up with.
        let tidying = before.contains(".Done()") || before.contains("WithoutCancel") || before.contains("defer func");
        let default = call.node.up(&["if_statement"]).is_some_and(|branch| branch.field_text("condition").contains("nil"));
        let passed = call.node.parent().is_some_and(|parent| parent.is("argument_list"));
        let stopping = says(function.field_text("name"), &["shutdown", "stop", "close", "cleanup", "detach", "run", "start", "serve"]);
        if passed && !tidying && !default && !stopping && name != "_" {
            found.at(call.node);
        }
    }
}
