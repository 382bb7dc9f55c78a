use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "secret-in-source",
    title: "A secret is written in the source",
    why: "Everybody who ever reads the repository has it, and it cannot be changed without a release.",
    source: "https://owasp.org/www-community/vulnerabilities/Use_of_hard-coded_password (CWE-798)",
    mend: "Read it from the environment or a secret file, and refuse to start without it. Change the one that was published.",
    point: Point::Configuration,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, check), Check::File(Language::Go, check)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn secret() -> String {\n    std::env::var(\"JWT_SECRET\").unwrap_or_else(|_| \"change-me-please\".to_string())\n}\n",
            good: "fn secret() -> Result<String, VarError> {\n    std::env::var(\"JWT_SECRET\")\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nvar jwtSecret = []byte(\"f3k2-99dk-asd8-kdfk\")\n",
            good: "package a\n\nvar jwtSecret = []byte(os.Getenv(\"JWT_SECRET\"))\n",
        },
    ],
};

const NAMES: [&str; 11] = ["jwt_secret", "jwt_key", "secret_key", "signing_key", "api_key", "client_secret", "private_key", "session_secret", "db_password", "admin_password", "encryption_key"];
/// Forms of keys that are given out by nobody else.
const FORMS: [&str; 7] = ["-----BEGIN RSA PRIVATE KEY", "-----BEGIN PRIVATE KEY", "-----BEGIN EC PRIVATE KEY", "sk_live_", "ghp_", "xoxb-", "AKIA"];

fn check(source: &Source, found: &mut Found) {
    for (node, text) in literals(source) {
        let example = text.contains("...") || text.contains('[') || text.to_ascii_uppercase().contains("EXAMPLE");
        let known = FORMS.iter().any(|form| text.starts_with(form) && text.len() >= form.len() + 16 && !example) && !shown(node);
        if known || (value_like(text) && named(node)) || default(node, text) {
            found.at(node);
        }
    }
}

/// Whether it can be a secret: not a name, a path, a sentence or a placeholder.
fn value_like(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let name = text.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_') || NAMES.iter().any(|name| lower.replace('-', "_").contains(name) || lower.contains(&name.replace('_', "")));
    let identifier = text.chars().all(|letter| letter.is_ascii_lowercase() || "_-.".contains(letter)) && text.len() < 20;
    // `JWTPublicSecret` is what a secret is called.
    let called = text.starts_with(char::is_uppercase) && text.chars().all(char::is_alphabetic) && says(text, &["secret", "key", "token", "password"]);
    (8..=200).contains(&text.len()) && !called && !text.contains([' ', '/', '{', '%', '<', '$', '\n', ',']) && !name && !identifier && !lower.starts_with("x-")
}

/// Whether it stands in a list of what secrets look like, by which others are found.
fn shown(node: Node<'_>) -> bool {
    node.up(&["static_item", "const_item", "var_spec", "const_spec"]).is_some_and(|item| says(item.field_text("name"), &["pattern", "patterns", "regex", "regexes", "example", "examples", "sample", "samples", "rules"]))
}

fn named(node: Node<'_>) -> bool {
    let Some(item) = node.up(&["const_item", "static_item", "let_declaration", "var_spec", "const_spec", "short_var_declaration"]) else { return false };
    // The literal is the value itself, or the bytes of it, not an argument of something else.
    let direct = item.text().rsplit_once('=').is_some_and(|(_, value)| {
        let value = value.trim().trim_end_matches(';').trim_end_matches(".to_string()").trim_end_matches(".as_bytes()");
        value == node.text() || value == format!("[]byte({})", node.text()) || value == format!("&{}", node.text())
    });
    let name = item.field("name").or_else(|| item.field("pattern")).or_else(|| item.field("left")).map_or("", Node::text);
    // `APIKeyName` and `AttributeKeyAPIKeyID` name one.
    let of_one = says(name, &["name", "id", "header", "attribute", "field", "env", "variable", "param", "path", "file", "prefix", "suffix", "label", "kind", "type"]);
    direct && says(name, &NAMES) && !of_one
}

/// `unwrap_or("…")` after reading a variable that is a secret by its name.
fn default(node: Node<'_>, text: &str) -> bool {
    if text.len() < 4 || text.contains("://") {
        return false;
    }
    let Some(call) = node.ancestors().take(6).filter(|up| up.is("call_expression")).filter_map(Call::of).find(|call| ["unwrap_or", "unwrap_or_else"].contains(&call.name)) else {
        return false;
    };
    let read = call.receiver_text();
    let secret = ["SECRET", "PASSWORD", "API_KEY", "PRIVATE_KEY", "TOKEN"].iter().any(|word| read.contains(word));
    let not_one = ["_ID", "_TTL", "_EXP", "_FILE", "_PATH", "_URL", "_NAME", "_LEN", "_HOURS", "_MINUTES"].iter().any(|word| read.contains(word));
    read.contains("env::var(") && secret && !not_one && call.node.field("arguments").is_some_and(|arguments| arguments.contains(node))
}
