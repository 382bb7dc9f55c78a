use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "sleep-ignores-cancellation",
    title: "A sleep does not look at the context",
    why: "Whoever cancels, a stopping service above all, waits for the whole sleep.",
    source: "https://go.dev/wiki/CodeReviewComments#contexts",
    mend: "`select` over `ctx.Done()` and a timer.",
    point: Point::Concurrency,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc wait(ctx context.Context) error {\n\ttime.Sleep(5 * time.Second)\n\treturn ctx.Err()\n}\n",
        good: "package a\n\nfunc wait(ctx context.Context) error {\n\tselect {\n\tcase <-ctx.Done():\n\t\treturn ctx.Err()\n\tcase <-time.After(5 * time.Second):\n\t\treturn nil\n\t}\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path == "time.Sleep") {
        let short = call.args_text().contains("Microsecond") || call.args_text().contains("Nanosecond");
        let body = body_of(call.node);
        let given = body.is_some_and(|body| go_context(body).is_some());
        if given && !short {
            found.at(call.node);
        }
    }
}
