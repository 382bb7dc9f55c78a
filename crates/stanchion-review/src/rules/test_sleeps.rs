use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "test-sleeps",
    title: "A test waits for a fixed time",
    why: "Too short on a busy machine, too long on every other: it is slow and still fails now and then.",
    source: "https://testing.googleblog.com/2016/05/flaky-tests-at-google-and-how-we.html",
    mend: "Wait for the thing itself with a deadline, or pause the clock (`tokio::time::pause`, `testing/synctest`).",
    point: Point::Testing,
    severity: Severity::Low,
    confidence: Confidence::Medium,
    checks: &[Check::Tests(Language::Rust, rust), Check::Tests(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "#[test]\nfn expires() {\n    let cache = cache();\n    std::thread::sleep(Duration::from_secs(2));\n    assert!(cache.is_empty());\n}\n",
            good: "#[tokio::test(start_paused = true)]\nasync fn expires() {\n    let cache = cache();\n    tokio::time::advance(TWO).await;\n    assert!(cache.is_empty());\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "//- cache_test.go\npackage a\n\nfunc TestExpires(t *testing.T) {\n\tc := cache()\n\ttime.Sleep(2 * time.Second)\n\tif c.Len() != 0 {\n\t\tt.Fatal(\"kept\")\n\t}\n}\n",
            good: "//- cache_test.go\npackage a\n\nfunc TestExpires(t *testing.T) {\n\tclock := fake()\n\tc := cache(clock)\n\tclock.Advance(2 * time.Second)\n\tif c.Len() != 0 {\n\t\tt.Fatal(\"kept\")\n\t}\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["std::thread::sleep", "thread::sleep"].contains(&call.path)) {
        let seconds = call.args_text().contains("from_secs(");
        if seconds && loop_of(call.node).is_none() && function_of(call.node).is_some_and(|function| attributes(function).iter().any(|attribute| attribute.contains("test"))) {
            found.at(call.node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path == "time.Sleep" && source.path.ends_with("_test.go")) {
        let in_test = function_of(call.node).is_some_and(|function| function.field_text("name").starts_with("Test"));
        if in_test && call.args_text().contains("time.Second") && loop_of(call.node).is_none() {
            found.at(call.node);
        }
    }
}
