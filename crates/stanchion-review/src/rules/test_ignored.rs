use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "test-ignored",
    title: "A test is left out without a reason",
    why: "Nobody knows what must happen before it may run again, so it never does.",
    source: "https://doc.rust-lang.org/reference/attributes/testing.html#the-ignore-attribute; https://pkg.go.dev/testing#T.Skip",
    mend: "Say why: `#[ignore = \"needs a broker\"]`, `t.Skip(\"needs a broker\")`, or delete it.",
    point: Point::Testing,
    severity: Severity::Low,
    confidence: Confidence::High,
    checks: &[Check::Tests(Language::Rust, rust), Check::Tests(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "#[test]\n#[ignore]\nfn reconnects() {\n    assert!(again());\n}\n",
            good: "#[test]\n#[ignore = \"needs a broker\"]\nfn reconnects() {\n    assert!(again());\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc TestReconnects(t *testing.T) {\n\tt.Skip()\n}\n",
            good: "package a\n\nfunc TestReconnects(t *testing.T) {\n\tt.Skip(\"needs a broker\")\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for attribute in source.each("attribute_item").filter(|attribute| attribute.text() == "#[ignore]") {
        // A comment beside it is a reason for who reads the source, if not for who reads the report.
        let line = source.line_of(attribute.start());
        let said = [line.saturating_sub(1), line, line + 1].iter().any(|near| *near > 0 && source.line(*near).contains("// "));
        if !said {
            found.at(attribute);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["t.Skip", "t.SkipNow"].contains(&call.path) && call.args().is_empty()) {
        let explained = call.node.up(&["if_statement"]).is_some_and(|branch| function_of(branch) == function_of(call.node));
        if !explained {
            found.at(call.node);
        }
    }
}
