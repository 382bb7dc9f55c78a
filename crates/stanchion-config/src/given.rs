//! What file, environment and arguments give, before anybody knows its types.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::outline::Outline;
use crate::setting::Value;
use crate::text::read_file;
use crate::{Problem, Problems, Source};

/// A configuration file may have this many bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A secret file may have this many bytes.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// The strongest value of each key, and what nobody can use.
pub(crate) struct Given<'a> {
    outline: &'a Outline,
    prefix: &'a str,
    pub(crate) values: BTreeMap<String, (Value, Source)>,
    pub(crate) problems: Problems,
}

impl<'a> Given<'a> {
    pub(crate) fn new(prefix: &'a str, outline: &'a Outline) -> Self {
        Given {
            outline,
            prefix,
            values: BTreeMap::new(),
            problems: Problems::default(),
        }
    }

    /// Takes over every key of the TOML file at `path`.
    pub(crate) fn file(&mut self, path: &Path) {
        let whole = |line| Source::File {
            path: path.to_owned(),
            line,
        };
        let text = match read_file(path, FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(what) => {
                let mend = "name a readable file or none";
                return self.refuse(whole(0), "", format!("the file {what}"), mend);
            }
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in &errors {
            let line = error.span().map_or(0, |span| line_of(&text, span.start));
            // Only the message: the error's own text repeats the line, which may hold a secret.
            self.refuse(
                whole(line),
                "",
                format!("not TOML: {}", error.message()),
                "mend the syntax",
            );
        }
        if errors.is_empty() {
            self.table("", table.get_ref(), &|at| whole(line_of(&text, at)));
        }
    }

    /// Takes over every variable that begins with the prefix; they must come sorted by name.
    pub(crate) fn environment(&mut self, variables: &BTreeMap<String, Option<String>>) {
        let start = format!("{}__", self.prefix);
        for (name, text) in variables.range(start.clone()..) {
            let Some(rest) = name.strip_prefix(&start) else {
                break;
            };
            let source = Source::Variable(name.clone());
            match text {
                Some(text) => self.variable(name, rest, text),
                None => self.refuse(
                    source,
                    "",
                    "the value is not UTF-8".into(),
                    "write it in UTF-8",
                ),
            }
        }
        for (name, _) in variables
            .range(start.clone()..)
            .take_while(|(name, _)| name.starts_with(&start))
        {
            self.refuse_twice(name, variables);
        }
    }

    /// Takes over a command-line argument.
    pub(crate) fn argument(&mut self, argument: &str, key: &str, text: &str) {
        let source = Source::Argument(argument.to_owned());
        self.values
            .insert(key.to_owned(), (Value::Text(text.to_owned()), source));
    }

    fn table(&mut self, parent: &str, table: &DeTable<'_>, source_at: &dyn Fn(usize) -> Source) {
        for (name, value) in table {
            let key = joined(parent, name.get_ref());
            let source = source_at(name.span().start);
            if self.outline.has_leaf(&key) {
                self.values.insert(key, (value_of(value), source));
            } else if !self.outline.has_section(&key) {
                self.refuse_unknown(source, &key, &|meant| meant.to_owned());
            } else if let DeValue::Table(inner) = value.get_ref() {
                self.table(&key, inner, source_at);
            } else {
                let mend = format!("write a section [{key}] with keys of its own");
                self.refuse(source, &key, "this is a section, not a value".into(), &mend);
            }
        }
    }

    fn variable(&mut self, name: &str, rest: &str, text: &str) {
        let key = rest.replace("__", ".").to_ascii_lowercase();
        if rest != rest.to_ascii_uppercase() {
            let mend = format!("write {}", self.variable_of(&key));
            return self.refuse(
                Source::Variable(name.into()),
                "",
                "variables are upper case".into(),
                &mend,
            );
        }
        if self.outline.has_leaf(&key) {
            let source = Source::Variable(name.to_owned());
            self.values
                .insert(key, (Value::Text(text.to_owned()), source));
        } else if let Some(key) = self.key_of_secret_file(&key) {
            self.secret_file(name, key, Path::new(text));
        } else {
            let source = Source::Variable(name.to_owned());
            let prefix = self.prefix;
            self.refuse_unknown(source, &key, &|meant| variable_name(prefix, meant));
        }
    }

    fn secret_file(&mut self, variable: &str, key: String, path: &Path) {
        let source = Source::SecretFile {
            variable: variable.to_owned(),
            path: path.to_owned(),
        };
        match read_file(path, SECRET_FILE_BYTES_MAX) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    return self.refuse(
                        source,
                        &key,
                        "the file is empty".into(),
                        "write the value into it",
                    );
                }
                self.values
                    .insert(key, (Value::Text(text.to_owned()), source));
            }
            Err(what) => {
                self.refuse(
                    source,
                    &key,
                    format!("the file {what}"),
                    "name a readable file with the value",
                );
            }
        }
    }

    /// Both `KEY` and `KEY_FILE` are set: nobody can tell which is meant.
    fn refuse_twice(&mut self, name: &str, variables: &BTreeMap<String, Option<String>>) {
        let twin = format!("{name}_FILE");
        let rest = name[self.prefix.len() + 2..]
            .to_ascii_lowercase()
            .replace("__", ".");
        let twin_is_a_setting = self.outline.has_leaf(&format!("{rest}_file"));
        if variables.contains_key(&twin) && self.outline.has_leaf(&rest) && !twin_is_a_setting {
            let what = format!("both this and {twin} are set");
            self.refuse(
                Source::Variable(name.to_owned()),
                &rest,
                what,
                "unset one of the two",
            );
        }
    }

    fn key_of_secret_file(&self, key: &str) -> Option<String> {
        key.strip_suffix("_file")
            .filter(|key| self.outline.has_leaf(key))
            .map(str::to_owned)
    }

    fn refuse_unknown(&mut self, source: Source, key: &str, written: &dyn Fn(&str) -> String) {
        let mend = match self.outline.nearest(key) {
            Some(meant) => format!("did you mean `{}`?", written(meant)),
            None => "remove it; `config --default` lists every key".to_owned(),
        };
        self.refuse(source, key, "nobody knows this key".into(), &mend);
    }

    fn refuse(&mut self, source: Source, key: &str, what: String, mend: &str) {
        self.problems.push(Problem {
            source,
            key: key.to_owned(),
            what,
            mend: mend.to_owned(),
        });
    }

    fn variable_of(&self, key: &str) -> String {
        variable_name(self.prefix, key)
    }
}

/// The value in `text` when it is written as a TOML array.
pub(crate) fn list_in(text: &str) -> Option<Value> {
    let text = text.trim();
    if !(text.starts_with('[') && text.ends_with(']')) {
        return None;
    }
    DeValue::parse(text)
        .ok()
        .map(|value| value_of(&value))
        .filter(|value| matches!(value, Value::List(_)))
}

/// `SHOP__SERVER__LISTEN` for `server.listen`.
pub(crate) fn variable_name(prefix: &str, key: &str) -> String {
    format!("{prefix}__{}", key.replace('.', "__").to_ascii_uppercase())
}

/// `section.name`, or `name` at the top.
pub(crate) fn joined(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

fn value_of(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("so long a number"), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(Value::Other("so long a number"), Value::Float),
        DeValue::Array(items) => Value::List(items.iter().map(value_of).collect()),
        DeValue::Table(_) => Value::Other("a table"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(at)
        .filter(|byte| **byte == b'\n')
        .count()
}
