use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "password-fast-hash",
    title: "A password is hashed with a fast hash",
    why: "A graphics card tries billions a second: a stolen table is a table of passwords.",
    source: "https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html (CWE-916)",
    mend: "Argon2id, scrypt or bcrypt, with their salt.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn hash(password: &str) -> String {\n    hex::encode(Sha256::digest(password.as_bytes()))\n}\n",
            good: "fn hash(password: &str, salt: &Salt) -> Result<Hash, Error> {\n    Argon2::default().hash_password(password.as_bytes(), salt)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc hash(password string) [32]byte {\n\treturn sha256.Sum256([]byte(password))\n}\n",
            good: "package a\n\nfunc hash(password string) ([]byte, error) {\n\treturn bcrypt.GenerateFromPassword([]byte(password), 12)\n}\n",
        },
    ],
};

fn rust(source: &Source, found: &mut Found) {
    let fast = ["Sha256::digest", "Sha512::digest", "Sha1::digest", "Md5::digest", "md5::compute", "sha256::digest", "blake3::hash"];
    for call in calls(source).filter(|call| fast.iter().any(|hash| call.path == *hash || call.path.ends_with(&format!("::{hash}"))) && (password(call.args_text()) || hashes_passwords(call.node))) {
        found.at(call.node);
    }
}

fn go(source: &Source, found: &mut Found) {
    let fast = ["sha256.Sum256", "sha512.Sum512", "sha1.Sum", "md5.Sum"];
    for call in calls(source).filter(|call| fast.contains(&call.path) && (password(call.args_text()) || hashes_passwords(call.node))) {
        found.at(call.node);
    }
}

/// Whether the function says that passwords are what it hashes.
fn hashes_passwords(node: Node<'_>) -> bool {
    let name = function_of(node).map_or("", |function| function.field_text("name"));
    says(name, &["password"]) && says(name, &["hash", "create", "make", "encode", "digest", "set", "compute"]) && !says(name, &["token", "reset", "pwned", "breached", "leaked"])
}

fn password(text: &str) -> bool {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| says(word, &["password", "passwd", "pwd", "pw"]) && !says(word, &["token", "reset", "id"]))
}
