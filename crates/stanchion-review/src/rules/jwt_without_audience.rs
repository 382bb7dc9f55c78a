use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "jwt-without-audience",
    title: "A token's audience and issuer are not checked",
    why: "A token that another service was given opens this one too.",
    source: "https://datatracker.ietf.org/doc/html/rfc8725#section-3.9",
    mend: "`set_audience` and `set_issuer`; `jwt.WithAudience` and `jwt.WithIssuer`.",
    point: Point::Security,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "use jsonwebtoken::{decode, Validation};\nfn read(token: &str) -> Result<Claims, Error> {\n    Ok(decode::<Claims>(token, &KEY, &Validation::default())?.claims)\n}\n",
            good: "use jsonwebtoken::{decode, Validation};\nfn read(token: &str) -> Result<Claims, Error> {\n    let mut validation = Validation::default();\n    validation.set_audience(&[\"shop\"]);\n    Ok(decode::<Claims>(token, &KEY, &validation)?.claims)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc read(raw string) (*jwt.Token, error) {\n\treturn jwt.ParseWithClaims(raw, &claims{}, key, jwt.WithValidMethods(methods))\n}\n",
            good: "package a\n\nfunc read(raw string) (*jwt.Token, error) {\n\treturn jwt.ParseWithClaims(raw, &claims{}, key, jwt.WithValidMethods(methods), jwt.WithAudience(\"shop\"))\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    if !source.has("jsonwebtoken") || source.has_any(&["set_audience", "set_issuer", ".aud =", ".iss ="]) {
        return;
    }
    for call in calls(source).filter(|call| call.path.ends_with("Validation::new") || call.path.ends_with("Validation::default")) {
        found.at(call.node);
    }
}

fn go(source: &Source, found: &mut Found) {
    if source.has_any(&["WithAudience", "WithIssuer", "VerifyAudience", "VerifyIssuer", ".Audience", ".Issuer"]) {
        return;
    }
    for call in calls(source).filter(|call| ["jwt.Parse", "jwt.ParseWithClaims"].contains(&call.path)) {
        found.at(call.node);
    }
}
