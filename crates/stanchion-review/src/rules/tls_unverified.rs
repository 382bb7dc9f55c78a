use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "tls-unverified",
    title: "The certificate of the other side is not verified",
    why: "Whoever stands between reads and changes everything.",
    source: "https://pkg.go.dev/crypto/tls#Config (InsecureSkipVerify, CWE-295)",
    mend: "Trust the authority that signed it: add its certificate to the roots.",
    point: Point::Tls,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn client() -> Builder {\n    Client::builder().danger_accept_invalid_certs(true)\n}\n",
            good: "fn client(root: Certificate) -> Builder {\n    Client::builder().add_root_certificate(root)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nvar config = &tls.Config{InsecureSkipVerify: true}\n",
            good: "package a\n\nvar config = &tls.Config{RootCAs: roots}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| ["danger_accept_invalid_certs", "danger_accept_invalid_hostnames"].contains(&call.name)) {
        match call.args_text() {
            "(true)" => found.at(call.node),
            "(false)" => {}
            // The operator decides, which a reader should still see.
            _ => found.at_asked_for(call.node),
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for literal in source.each("composite_literal").filter(|node| node.field_text("type") == "tls.Config") {
        // With a check of its own the standard one is replaced, not left out.
        let own = literal.text().contains("VerifyPeerCertificate") || literal.text().contains("VerifyConnection");
        for element in literal.each("keyed_element").filter(|element| !own && element.text().starts_with("InsecureSkipVerify") && element.text().ends_with("true")) {
            let asked = element.up(&["if_statement"]).is_some_and(|branch| {
                let condition = branch.field_text("condition").rsplit('.').next().unwrap_or("");
                says(condition, &["skip", "insecure", "skipverify", "self_signed", "unsafe"]) || (says(condition, &["ignore", "disable", "allow"]) && says(condition, &["tls", "ssl", "cert", "certs", "certificate", "certificates", "errors", "verify", "invalid"]))
            });
            // The operator asked for it by a setting, which a reader should still see.
            if asked { found.at_asked_for(element) } else { found.at(element) }
        }
    }
}
