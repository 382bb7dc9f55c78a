use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "logged-and-returned",
    title: "An error is logged and returned",
    why: "Every caller does the same: one failure is five lines, and alerts count five.",
    source: "https://github.com/uber-go/guide/blob/master/style.md#handle-errors-once",
    mend: "Wrap and return it; log where it is handled.",
    point: Point::Observability,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nfunc load() error {\n\tif err := open(); err != nil {\n\t\tlog.Printf(\"open: %v\", err)\n\t\treturn err\n\t}\n\treturn nil\n}\n",
        good: "package a\n\nfunc load() error {\n\tif err := open(); err != nil {\n\t\treturn fmt.Errorf(\"open: %w\", err)\n\t}\n\treturn nil\n}\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    for branch in source.each("if_statement").filter(|branch| branch.field_text("condition") == "err != nil") {
        let Some(block) = branch.field("consequence") else { continue };
        let returned = block.each("return_statement").next().filter(|node| node.text() == "return err" || node.text().ends_with(", err"));
        let logged = calls_in(block).find(|call| {
            ["Print", "Printf", "Println", "Error", "Errorf", "Errorw"].contains(&call.name) && says(call.receiver_word(), &["log", "logger", "slog", "logrus", "sugar"]) && has_word(call.args_text(), "err")
        });
        if let (Some(logged), Some(_)) = (logged, returned) {
            found.at(logged.node);
        }
    }
}
