use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "weak-random",
    title: "A secret drawn from a predictable generator",
    why: "A few outputs give its state, and with it every token it made and will make.",
    source: "https://pkg.go.dev/math/rand (CWE-338)",
    mend: "`crypto/rand`.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Go, go)],
    examples: &[Example {
        language: Language::Go,
        bad: "package a\n\nimport \"math/rand\"\n\nfunc newSessionToken() int { return rand.Int() }\n",
        good: "package a\n\nimport \"crypto/rand\"\n\nfunc newSessionToken(b []byte) error { _, err := rand.Read(b); return err }\n",
    }],
};

fn go(source: &Source, found: &mut Found) {
    if !source.has("\"math/rand\"") && !source.has("\"math/rand/v2\"") || source.has("\"crypto/rand\"") {
        return;
    }
    for call in calls(source).filter(|call| call.path.starts_with("rand.") && !["rand.Seed", "rand.New", "rand.NewSource"].contains(&call.path)) {
        let name = function_of(call.node).map_or("", |function| function.field_text("name"));
        if says(name, &["token", "secret", "password", "session", "session_id", "api_key", "otp", "nonce"]) && !says(name, &["mock", "fake", "test"]) {
            found.at(call.node);
        }
    }
}
