use super::prelude::*;

pub(crate) static RULE: Rule = Rule {
    name: "personal-data-in-log",
    title: "Personal data in a log or span",
    why: "It outlives the person's wish to be forgotten, in places that nobody can erase one person from.",
    source: "https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html#data-to-exclude; GDPR, article 17",
    mend: "Log the person's id.",
    point: Point::Logs,
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    checks: &[Check::File(Language::Rust, rust), Check::File(Language::Go, go)],
    examples: &[
        Example {
            language: Language::Rust,
            bad: "fn joined(user: &User, email: &str) {\n    tracing::info!(%email, \"joined\");\n}\n",
            good: "fn joined(user: &User, email: &str) {\n    tracing::info!(user = %user.id, \"joined\");\n}\n",
        },
        Example {
            language: Language::Go,
            bad: "package a\n\nfunc joined(u User) {\n\tlog.Printf(\"joined: %s\", u.Email)\n}\n",
            good: "package a\n\nfunc joined(u User) {\n\tlog.Printf(\"joined: %s\", u.ID)\n}\n",
        },
    ],
};

const PERSONAL: [&str; 10] = ["email", "phone", "phone_number", "ssn", "card_number", "iban", "date_of_birth", "birthday", "postal_address", "full_name"];
const NOT_ONE: [&str; 15] = ["id", "count", "len", "type", "template", "subject", "enabled", "client", "server", "err", "error", "config", "sender", "hash", "domain"];

fn tells(name: &str) -> bool {
    says(name, &PERSONAL) && !says(name, &NOT_ONE)
}

fn rust(source: &Source, found: &mut Found) {
    for (node, _, _) in macros(source).filter(|(_, name, _)| ["trace", "debug", "info", "warn", "error", "info_span", "debug_span"].contains(name)) {
        let Some(tree) = node.children().find(|child| child.is("token_tree")) else { continue };
        let word = tree.below().filter(|inner| inner.is("identifier") && tells(inner.text())).any(|inner| {
            source.slice(inner.end(), inner.end() + 2).trim_start().starts_with([',', ')'])
        });
        if word {
            found.at(node);
        }
    }
}

fn go(source: &Source, found: &mut Found) {
    let levels = ["Print", "Printf", "Println", "Info", "Infof", "Debug", "Debugf", "Warn", "Warnf", "Error", "Errorf", "Infow", "Errorw"];
    for call in calls(source).filter(|call| levels.contains(&call.name) && says(call.receiver_word(), &["log", "logger", "slog", "sugar", "logrus"])) {
        let fields = call.args().into_iter().filter_map(Call::of).filter(|inner| ["String", "Any", "Str", "Stringer"].contains(&inner.name)).filter_map(|inner| inner.arg(1));
        let told = call.args().into_iter().chain(fields).any(|arg| ["identifier", "selector_expression"].contains(&arg.kind()) && tells(arg.text().rsplit('.').next().unwrap_or("")));
        if told {
            found.at(call.node);
        }
    }
}
