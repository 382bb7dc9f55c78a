use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "time-after-in-loop",
    title: "time.After inside a loop",
    why: "Each round makes a timer that lives until it fires (before Go 1.23), and a busy loop never reaches it.",
    source: "https://pkg.go.dev/time#After",
    mend: "Make one `time.NewTicker` or `NewTimer` before the loop and stop it.",
    point: Point::Resources,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc run(ctx context.Context, in chan Job) {\n\tfor {\n\t\tselect {\n\t\tcase j := <-in:\n\t\t\tj.Do()\n\t\tcase <-time.After(time.Minute):\n\t\t\tsweep()\n\t\t}\n\t}\n}\n",
        good: "package a\n\nfunc run(ctx context.Context, in chan Job) {\n\tticker := time.NewTicker(time.Minute)\n\tdefer ticker.Stop()\n\tfor {\n\t\tselect {\n\t\tcase j := <-in:\n\t\t\tj.Do()\n\t\tcase <-ticker.C:\n\t\t\tsweep()\n\t\t}\n\t}\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path == "time.After") {
        let in_select = call.node.up(&["communication_case"]).and_then(|case| case.parent());
        // With only this case and a done channel it is a sleep: one timer a round, and it is waited for.
        let others = in_select.map_or(0, |select| select.named().filter(|case| case.is("communication_case") && !case.field_text("communication").contains("Done()")).count());
        if others > 1 && loop_of(call.node).is_some_and(is_endless) {
            found.at(call.node);
        }
    }
}
