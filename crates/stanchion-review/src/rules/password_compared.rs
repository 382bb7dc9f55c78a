use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "password-compared",
    title: "A secret is compared with ==",
    why: "Either passwords are kept as they are, or the time to the first difference tells a secret letter by letter.",
    source: "https://pkg.go.dev/crypto/subtle#ConstantTimeCompare (CWE-208, CWE-256)",
    mend: "Verify a password against its hash by the hash's library; compare tokens and signatures in constant time.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn login(user: &User, given: &Login) -> bool {\n    user.password == given.password\n}\n",
            good: "fn login(user: &User, given: &Login) -> bool {\n    verify(&user.password_hash, &given.password)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc login(u User, given Login) bool {\n\treturn u.Password == given.Password\n}\n",
            good: "package a\n\nfunc login(u User, given Login) bool {\n\treturn given.Password != \"\" && bcrypt.CompareHashAndPassword(u.Hash, []byte(given.Password)) == nil\n}\n",
        },
    ],
};

fn check(source: &Source, found: &mut Found) {
    let secrets = ["password", "passwd", "api_key", "apikey", "hmac", "csrf_token"];
    let other = ["confirm", "confirmation", "verify", "verification", "retype", "second", "placeholder", "dummy", "repeat", "again", "new", "old", "old_password", "type", "kind", "len", "length", "method", "id", "field", "name", "mode"];
    for binary in source.each("binary_expression").filter(|node| node.has_token("==") || node.has_token("!=")) {
        let sides = [binary.field("left"), binary.field("right")];
        // Texts of two variables: a literal, a constant, nil or a number is another question.
        let variable = |side: &Node<'_>| ["identifier", "field_expression", "selector_expression"].contains(&side.kind()) && side.text() != "nil" && !last(side.text()).chars().all(|letter| letter.is_uppercase() || letter == '_');
        // A name of another package of Go is a constant of the program as often as not.
        let packages: Vec<&str> = source.each("import_spec").map(|spec| spec.field_text("path").trim_matches('"').rsplit('/').next().unwrap_or("")).collect();
        let foreign = sides.iter().flatten().any(|side| side.is("selector_expression") && packages.contains(&side.field_text("operand")));
        if foreign {
            continue;
        }
        let names: Vec<&str> = sides.iter().flatten().filter(|side| variable(side)).map(|side| last(side.text())).collect();
        if names.len() == 2 && names.iter().all(|name| !says(name, &other)) && names.iter().any(|name| says(name, &secrets)) {
            found.at(binary);
        }
    }
}

fn last(text: &str) -> &str {
    text.rsplit('.').next().unwrap_or("")
}
