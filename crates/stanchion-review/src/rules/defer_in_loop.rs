use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "defer-in-loop",
    title: "A defer inside a loop",
    why: "It runs at the end of the function, not of the round: files, rows and locks pile up until then.",
    source: "https://go.dev/ref/spec#Defer_statements; https://staticcheck.dev/docs/checks#SA9001",
    mend: "Move the round into a function of its own.",
    point: Point::Resources,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc readAll(names []string) {\n\tfor _, name := range names {\n\t\tf, _ := os.Open(name)\n\t\tdefer f.Close()\n\t}\n}\n",
        good: "package a\n\nfunc readAll(names []string) {\n\tfor _, name := range names {\n\t\tread(name)\n\t}\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for defer in source.each("defer_statement") {
        let Some(around) = loop_of(defer) else { continue };
        // A loop whose round always ends in a return runs its defer at the right time.
        let last = around.field("body").and_then(|body| body.named().last());
        let returns = last.is_some_and(|last| last.is("return_statement") || last.named().last().is_some_and(|inner| inner.is("return_statement")));
        // So does one whose own branch ends in a return.
        let branch = defer.ancestors().find(|up| ["statement_list", "block", "communication_case", "expression_case", "type_case", "default_case"].contains(&up.kind()));
        let mut end = branch.and_then(|branch| branch.named().last());
        while let Some(list) = end.filter(|end| end.is("statement_list")) {
            end = list.named().last();
        }
        if !returns && !end.is_some_and(|end| end.is("return_statement")) {
            found.at(defer);
        }
    }
}
