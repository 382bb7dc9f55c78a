use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "test-without-assertion",
    title: "A test that asserts nothing",
    why: "It passes whatever the code does; it only counts as covered.",
    source: "https://martinfowler.com/bliki/AssertionFreeTesting.html",
    mend: "Say what must be true afterwards.",
    point: Point::Testing,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::Tests(Language::Rust, rust), Check::Tests(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "#[test]\nfn adds() {\n    let sum = Sum::of(1, 2);\n    println!(\"{sum}\");\n}\n",
            good: "#[test]\nfn adds() {\n    assert_eq!(Sum::of(1, 2), 3);\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc TestAdd(t *testing.T) {\n\tsum := Add(1, 2)\n\tfmt.Println(sum)\n}\n",
            good: "package a\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Fatal(\"wrong\")\n\t}\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    // Words by which helpers of tests assert, panics among them: code that must only not panic asserts that.
    let signs = ["assert",
        "then",
        "refuse", "expect", "unwrap", "panic", "?", "check", "verify", "should", "ensure", "snapshot", "matches!", "must", "compile", "proptest", "return Err", "test(", "run("];
    // A test that hands its case to a helper of the same file asserts there.
    let helpers: std::collections::BTreeSet<&str> =
        functions(source).map(|function| function.field_text("name")).collect();
    for function in functions(source) {
        let attributes = attributes(function);
        let is_test = attributes.iter().any(|attribute| ["#[test]", "#[tokio::test]", "#[actix_web::test]", "#[async_std::test]"].contains(attribute));
        let panics = attributes.iter().any(|attribute| attribute.contains("should_panic") || attribute.contains("ignore"));
        let body = function.field_text("body");
        let helped = calls_in(function).any(|call| (helpers.contains(call.path)
                || call.path.starts_with(char::is_lowercase) && !call.path.contains([':', '.']) && call.path != "drop") && source.in_test(call.node.start()));
        if is_test && !panics && !helped && body.len() > 10 && !signs.iter().any(|sign| body.contains(sign)) {
            found.at(function.field("name").unwrap_or(function));
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    let signs = ["assert", "require", "expect", "Expect", "check", "Check", "verify", "Verify", "panic", "should", "Should", "suite.Run", "goleak", "must", "Must"];
    for function in functions(source).filter(|function| function.is("function_declaration") && function.field_text("name").starts_with("Test")) {
        let parameters = go_parameters(function);
        let Some((name, _)) = parameters.first().filter(|(_, kind)| kind.text() == "*testing.T") else { continue };
        let body = function.field_text("body");
        let fails = ["Error", "Fatal", "Fail", "Skip", "Run"].iter().any(|verb| body.contains(&format!("{name}.{verb}")));
        let passed = has_word(body, name) && calls_in(function).any(|call| call.args().iter().any(|arg| arg.text() == *name));
        // To come to its end is what these say.
        let ends = says(function.field_text("name"), &["idempotent", "panic", "panics", "twice", "nil", "noop", "race", "deadlock", "leak", "concurrent", "concurrently", "safe"]);
        if body.len() > 10 && !ends && !fails && !passed && !signs.iter().any(|sign| body.contains(sign)) {
            found.at(function.field("name").unwrap_or(function));
        }
    }
}
