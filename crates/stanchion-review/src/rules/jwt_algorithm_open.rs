use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "jwt-algorithm-open",
    title: "The token says how it is to be verified",
    why: "A public RSA key used as an HMAC secret verifies whatever an attacker signs with it.",
    source: "https://datatracker.ietf.org/doc/html/rfc8725#section-2.1",
    mend: "Name the algorithm in the service: `Validation::new(Algorithm::EdDSA)`, `jwt.WithValidMethods(..)`.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn read(token: &str) -> Result<Claims, Error> {\n    let header = decode_header(token)?;\n    let validation = Validation::new(header.alg);\n    decode(token, key(header.kid), &validation)\n}\n",
            good: "fn read(token: &str) -> Result<Claims, Error> {\n    let header = decode_header(token)?;\n    let mut validation = Validation::new(Algorithm::EdDSA);\n    validation.set_audience(&[\"shop\"]);\n    decode(token, key(header.kid), &validation)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc read(raw string) (*jwt.Token, error) {\n\treturn jwt.Parse(raw, func(t *jwt.Token) (any, error) {\n\t\treturn key, nil\n\t})\n}\n",
            good: "package a\n\nfunc read(raw string) (*jwt.Token, error) {\n\treturn jwt.Parse(raw, func(t *jwt.Token) (any, error) {\n\t\tif _, ok := t.Method.(*jwt.SigningMethodHMAC); !ok {\n\t\t\treturn nil, ErrMethod\n\t\t}\n\t\treturn key, nil\n\t})\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| call.path.ends_with("Validation::new")) {
        if call.arg(0).is_some_and(|arg| arg.text().ends_with("header.alg") || arg.text().ends_with("header.alg.clone()")) {
            // With the key's own algorithm compared beforehand it is a choice among the service's keys.
            let chosen = source.has("algorithms") || source.has("key_algorithm");
            if chosen { found.at_maybe(call.node, Confidence::Medium) } else { found.at(call.node) }
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["jwt.Parse", "jwt.ParseWithClaims"].contains(&call.path)) {
        let text = call.args_text();
        let named = text.contains("WithValidMethods") || text.contains(".Method") || text.contains("SigningMethod");
        let by_name = call.args().iter().any(|arg| ["identifier", "selector_expression"].contains(&arg.kind())) && !text.contains("func(");
        // A key function of another place may check it.
        if !named && !by_name && !source.has("WithValidMethods") {
            found.at(call.node);
        }
    }
}
