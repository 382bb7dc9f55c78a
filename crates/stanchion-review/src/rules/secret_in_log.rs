use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "secret-in-log",
    title: "A secret is written to the log",
    why: "Logs are copied to more places and read by more people than any database.",
    source: "https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html#data-to-exclude (CWE-532)",
    mend: "Leave it out; log an id, or a keyed hash where two lines must be matched.",
    point: Point::Security,
    severity: Severity::High,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn login(user: &str, password: &str) {\n    tracing::info!(user, password, \"login\");\n}\n",
            good: "fn login(user: &str, password: &str) {\n    tracing::info!(user, \"login without password\");\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc login(user, password string) {\n\tlog.Printf(\"login %s %s\", user, password)\n}\n",
            good: "package a\n\nfunc login(user, password string) {\n\tlog.Printf(\"login %s, bad password\", user)\n}\n",
        },
    ],
};

const SECRETS: [&str; 12] = ["password", "passwd", "secret", "api_key", "apikey", "private_key", "access_token", "refresh_token", "client_secret", "session_token", "auth_token", "jwt"];
const NOT_ONE: [&str; 16] = ["id", "name", "len", "length", "path", "file", "hash", "err", "error", "type", "count", "url", "expires", "expiry", "ref", "secrets"];

fn tells(name: &str) -> bool {
    says(name, &SECRETS) && !says(name, &NOT_ONE)
}

fn rust(source: &Source, found: &mut Found) {
    for (node, _, _) in macros(source).filter(|(_, name, _)| ["trace", "debug", "info", "warn", "error", "println", "eprintln"].contains(name)) {
        let Some(tree) = node.children().find(|child| child.is("token_tree")) else { continue };
        // A name that is called or entered is not what is printed; `password.len()` is not the password.
        let word = tree.below().filter(|inner| inner.is("identifier") && tells(inner.text())).find(|inner| {
            let after = source.slice(inner.end(), inner.end() + 3).trim_start();
            after.starts_with([',', ')']) || after.is_empty()
        });
        let inline = tree.below().filter_map(literal).any(|text| text.split('{').skip(1).any(|part| part.split(['}', ':']).next().is_some_and(tells)));
        let asked = node.up(&["if_expression"]).is_some_and(|branch| says(branch.field_text("condition"), &["debug"]) && !branch.field_text("condition").contains("debug_assertions"));
        if word.is_some() || inline {
            // A setting that says so asked for it.
            if asked { found.at_asked_for(node) } else { found.at(node) }
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    for call in calls(source).filter(|call| is_log(call)) {
        // A field of a structured line is what it is made of: `slog.String("password", p)`.
        let fields = call.args().into_iter().filter_map(Call::of).filter(|inner| ["String", "Any", "Str", "ByteString", "Stringer"].contains(&inner.name)).filter_map(|inner| inner.arg(1));
        let told = call.args().into_iter().chain(fields).any(|arg| ["identifier", "selector_expression"].contains(&arg.kind()) && tells(arg.text().rsplit('.').next().unwrap_or("")));
        if told {
            found.at(call.node);
        }
    }
}

fn is_log(call: &Call<'_>) -> bool {
    let levels = ["Print", "Printf", "Println", "Info", "Infof", "Debug", "Debugf", "Warn", "Warnf", "Error", "Errorf", "Fatal", "Fatalf", "Infow", "Errorw", "Debugw"];
    levels.contains(&call.name) && (says(call.receiver_word(), &["log", "logger", "slog", "zap", "sugar", "logrus", "l"]) || call.path.starts_with("fmt.Print"))
}
