use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "waitgroup-add-inside",
    title: "A WaitGroup is raised inside the goroutine it counts",
    why: "`Wait` may run before the goroutine does and then waits for nobody.",
    source: "https://pkg.go.dev/sync#WaitGroup.Add",
    mend: "Call `Add` before `go`.",
    point: Point::Concurrency,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc run(wg *sync.WaitGroup) {\n\tgo func() {\n\t\twg.Add(1)\n\t\tdefer wg.Done()\n\t\twork()\n\t}()\n}\n",
        good: "package a\n\nfunc run(wg *sync.WaitGroup) {\n\twg.Add(1)\n\tgo func() {\n\t\tdefer wg.Done()\n\t\twork()\n\t}()\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "Add" && says(call.receiver_word(), &["wg", "waitgroup", "wait_group", "group"]) && call.args_text() == "(1)") {
        let Some(body) = body_of(call.node).filter(|body| body.is("func_literal")) else { continue };
        let started = body.parent().and_then(|call| call.parent()).is_some_and(|up| up.is("go_statement"));
        let counts_itself = body.text().contains(&format!("defer {}.Done()", call.receiver_text()));
        let nested = body.each("go_statement").any(|go| go.start() > call.node.start());
        if started && counts_itself && !nested {
            found.at(call.node);
        }
    }
}
