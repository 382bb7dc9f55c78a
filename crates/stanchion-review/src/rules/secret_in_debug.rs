use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "secret-in-debug",
    title: "A secret is in a type that prints itself",
    why: "One `{:?}` in a log line, an error or a panic publishes it.",
    source: "https://docs.rs/secrecy (CWE-532)",
    mend: "Keep it in a secret type (`secrecy::SecretString`), or write `Debug`, in Go `String` or `LogValue`, by hand without it.",
    point: Point::Security,
    severity: Severity::Medium,
    confidence: Confidence::High,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "#[derive(Clone, Debug)]\npub struct Database {\n    pub password: String,\n}\n",
            good: "#[derive(Clone, Debug)]\npub struct Database {\n    pub password: SecretString,\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\ntype Database struct {\n\tHost     string\n\tPassword string\n}\n\nfunc open(d Database) {\n\tslog.Info(\"opening\", \"database\", d)\n}\n",
            good: "package a\n\ntype Database struct {\n\tHost     string\n\tPassword string\n}\n\nfunc (d Database) String() string { return d.Host }\n\nfunc open(d Database) {\n\tslog.Info(\"opening\", \"host\", d.Host)\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\ntype Database struct{ Host, Password string }\n\nfunc (d Database) String() string {\n\treturn fmt.Sprintf(\"%s:%s\", d.Host, d.Password)\n}\n",
            good: "package a\n\ntype Database struct{ Host, Password string }\n\nfunc (d Database) String() string {\n\treturn fmt.Sprintf(\"%s:***\", d.Host)\n}\n",
        },
    ],
};

const SECRETS: [&str; 10] = ["password", "passwd", "secret", "api_key", "private_key", "secret_key", "access_token", "refresh_token", "client_secret", "jwt_secret"];
const NOT_ONE: [&str; 18] = ["hint", "encrypted", "hashed", "policy", "hash", "id", "path", "file", "name", "arn", "ref", "type", "kind", "url", "version", "length", "min", "max"];

fn is_secret(name: &str) -> bool {
    says(name, &SECRETS) && !says(name, &NOT_ONE)
}

fn rust(source: &Source, found: &mut Found) {
    for field in fields(source).iter().filter(|field| ["String", "Option<String>", "Vec<u8>", "Box<str>"].contains(&field.kind)) {
        let prints = field.owner.is_some_and(|owner| attributes(owner).iter().any(|attribute| attribute.starts_with("#[derive(") && has_word(attribute, "Debug")));
        if prints && is_secret(field.name) {
            found.at(field.node);
        }
    }
}

/// A struct that is printed whole, or whose own `String` tells the secret.
fn go(source: &Source, found: &mut Found) {
    let secrets: Vec<(&str, &str)> = fields(source)
        .iter()
        .filter(|field| field.kind == "string" && is_secret(field.name))
        .map(|field| (field.owner.map_or("", |owner| owner.field_text("name")), field.name))
        .collect();
    let own = |kind: &str| {
        functions(source).find(|function| {
            let receiver = function.field_text("receiver").trim_end_matches(')');
            receiver.rsplit([' ', '*', '(']).next() == Some(kind) && ["String", "GoString", "Format", "LogValue", "MarshalJSON", "MarshalText", "MarshalLogObject"].contains(&function.field_text("name"))
        })
    };
    for (kind, secret) in &secrets {
        let Some(function) = own(kind).filter(|function| ["String", "GoString"].contains(&function.field_text("name"))) else { continue };
        let told = function.each("selector_expression").find(|node| node.field_text("field") == *secret && node.parent().is_some_and(|up| up.is("argument_list") || up.is("binary_expression")));
        // A connection string that a function builds is asked for its password.
        if let Some(node) = told.filter(|node| !node.parent().is_some_and(|up| up.has_token("==") || up.has_token("!="))) {
            found.at(node);
        }
    }
    for call in calls(source).filter(is_print) {
        let Some(function) = function_of(call.node) else { continue };
        let whole = |name: &str| {
            let parameter = go_parameters(function).iter().find(|(own, _)| *own == name).map(|(_, kind)| kind.text().trim_start_matches('*').to_owned());
            parameter.is_some_and(|kind| secrets.iter().any(|(owner, _)| *owner == kind) && own(&kind).is_none())
        };
        if call.args().iter().any(|arg| whole(arg.text().trim_start_matches(['&', '*']))) {
            found.at(call.node);
        }
    }
}

fn is_print(call: &Call<'_>) -> bool {
    let levels = ["Print", "Printf", "Println", "Info", "Infof", "Debug", "Debugf", "Warn", "Warnf", "Error", "Errorf", "Infow", "Errorw", "Debugw"];
    levels.contains(&call.name) && (says(call.receiver_word(), &["log", "logger", "slog", "sugar", "logrus"]) || call.path.starts_with("fmt.Print"))
}
