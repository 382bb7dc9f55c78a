//! Names that a thing cannot have.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use crate::scaffold::TEMPLATES;

/// Words that a Rust module or function cannot have.
pub(super) const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut",
    "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true", "type", "unsafe",
    "use", "where", "while", "abstract", "become", "box", "do", "final", "macro", "override",
    "priv", "typeof", "unsized", "virtual", "yield", "try",
];

/// Modules that the template has, crates that it names, targets of cargo.
pub(super) const MODULES: &[&str] = &[
    "stanchion",
    "settings",
    "store",
    "platform",
    "tokens",
    "health",
    "alloc",
    "axum",
    "build",
    "clap",
    "core",
    "lib",
    "main",
    "serde",
    "std",
    "test",
    "tokio",
    "tonic",
];

/// Types that every file has without naming them.
const PRELUDE: [&str; 16] = [
    "Box", "Clone", "Copy", "Default", "Drop", "Err", "From", "Into", "Iterator", "None", "Ok",
    "Option", "Result", "Some", "String", "Vec",
];

/// Types that the templates define or import where a thing's own types stand: it cannot be called like one.
pub(super) fn types() -> &'static BTreeSet<&'static str> {
    static TYPES: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
        let sources = TEMPLATES.iter();
        let sources = sources.filter(|(path, text)| path.ends_with(".rs") && names_a_thing(text));
        let mut types: BTreeSet<_> = PRELUDE.into();
        for (_, text) in sources {
            let used = text.split("\nuse ").skip(1);
            let used = used.filter_map(|rest| rest.split_once(';'));
            let used = used.flat_map(|(used, _)| used.split(|c: char| !is_word(c)));
            let defined = text.lines().filter_map(|line| {
                let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
                let kinds = ["struct ", "enum ", "trait ", "type "];
                let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
                rest.split(|c: char| !is_word(c)).next()
            });
            types.extend(used.chain(defined).filter(|name| is_type(name)));
        }
        types
    });
    &TYPES
}

/// Whether a source names a thing's type, or that of its use cases, and not only types called after it.
fn names_a_thing(text: &str) -> bool {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let words = code.flat_map(|line| line.split(|c: char| !is_word(c)));
    let mut types = words.filter(|word| ["__Thing__", "__Things__"].contains(word));
    types.next().is_some()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && !name.contains("__")
}

pub(super) fn told(name: &str) -> String {
    format!("`{name}` is taken: Rust or the template has it already")
}
