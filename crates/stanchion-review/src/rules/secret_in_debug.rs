use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "secret-in-debug",
    title: "A secret is in a type that prints itself",
    why: "One `{:?}` in a log line, an error or a panic publishes it.",
    source: "https://docs.rs/secrecy (CWE-532)",
    mend: "Keep it in a secret type (`secrecy::SecretString`), or write `Debug` by hand without it.",
    point: Point::Security,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust)],
    examples: &[Example {
        language: Language::Rust,
        bad: "#[derive(Clone, Debug)]\npub struct Database {\n    pub password: String,\n}\n",
        good: "#[derive(Clone, Debug)]\npub struct Database {\n    pub password: SecretString,\n}\n",
    }],
};

fn rust(source: &Source, found: &mut Found) {
    let secrets = ["password", "passwd", "secret", "api_key", "private_key", "secret_key", "access_token", "refresh_token", "client_secret", "jwt_secret"];
    let not_one = ["hash", "id", "path", "file", "name", "arn", "ref", "type", "kind", "url", "version", "length", "min", "max"];
    for field in fields(source).iter().filter(|field| ["String", "Option<String>", "Vec<u8>", "Box<str>"].contains(&field.kind)) {
        let prints = field.owner.is_some_and(|owner| attributes(owner).iter().any(|attribute| attribute.starts_with("#[derive(") && has_word(attribute, "Debug")));
        if prints && says(field.name, &secrets) && !says(field.name, &not_one) {
            found.at(field.node);
        }
    }
}
