use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "jwt-unverified",
    title: "A token is read without being verified",
    why: "Anybody can write one.",
    source: "https://datatracker.ietf.org/doc/html/rfc8725#section-3.1",
    mend: "Verify signature and expiry always; look at a token's header only to choose a key.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn validation() -> Validation {\n    let mut validation = Validation::new(Algorithm::RS256);\n    validation.insecure_disable_signature_validation();\n    validation\n}\n",
            good: "fn validation() -> Validation {\n    let mut validation = Validation::new(Algorithm::RS256);\n    validation.set_audience(&[\"shop\"]);\n    validation.set_issuer(&[\"https://id.example\"]);\n    validation\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc read(p *jwt.Parser, raw string) (*jwt.Token, error) {\n\tt, _, err := p.ParseUnverified(raw, &claims{})\n\treturn t, err\n}\n",
            good: "package a\n\nfunc read(raw string) (*jwt.Token, error) {\n\treturn jwt.ParseWithClaims(raw, &claims{}, key, jwt.WithValidMethods([]string{\"EdDSA\"}), jwt.WithAudience(\"shop\"))\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["insecure_disable_signature_validation", "insecure_decode"].contains(&call.name)) {
        found.at(call.node);
    }
    for set in source.each("assignment_expression") {
        if ["validate_exp", "validate_signature"].iter().any(|field| set.field_text("left").ends_with(&format!(".{field}"))) && set.field_text("right") == "false" {
            found.at_saying(set, "A token's expiry is not checked");
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.name == "ParseUnverified") {
        found.at(call.node);
    }
}
