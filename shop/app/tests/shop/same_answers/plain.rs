//! An answer without what differs from run to run.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use crate::support::Answer;

/// Left out: about this one request, or secret.
const LEFT_OUT: [&str; 6] = [
    "request_id",
    "timestamp",
    "consistency_token",
    "access_token",
    "refresh_token",
    "next_cursor",
];

/// What is compared besides status and body.
const HEADERS: [&str; 9] = [
    "content-type",
    "location",
    "etag",
    "cache-control",
    "preference-applied",
    "idempotent-replayed",
    "www-authenticate",
    "allow",
    "content-security-policy",
];

const UUID_LENGTH: usize = 36;

/// What the ids and tokens of one shop are called.
#[derive(Default)]
pub(crate) struct Plain {
    names: HashMap<String, String>,
    /// The ids in the order of their appearance.
    appeared: Vec<String>,
    /// What later requests need of earlier answers, by name: tokens and ids.
    kept: HashMap<String, String>,
}

/// An answer that can be compared.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Value,
    /// Not compared.
    raw: Raw,
}

/// The body as it came.
#[derive(Clone, Debug)]
struct Raw(Value);

impl PartialEq for Raw {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Plain {
    /// The answer in this shop's plain words.
    pub(crate) fn of(&mut self, answer: Answer) -> Answered {
        let raw = answer.json();
        let headers = HEADERS.iter().filter_map(|name| {
            let value = answer.header(name)?;
            Some(((*name).to_owned(), value.to_owned()))
        });
        let headers: Vec<_> = headers.collect();
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name, self.text(&value)));
        Answered {
            status: answer.status,
            headers: headers.collect(),
            body: self.value(raw.clone()),
            raw: Raw(raw),
        }
    }

    /// How many ids have appeared.
    pub(crate) fn appeared(&self) -> usize {
        self.appeared.len()
    }

    /// Forgets the ids that appeared later: their answer is asked for again.
    pub(crate) fn back_to(&mut self, appeared: usize) {
        for id in self.appeared.drain(appeared..) {
            self.names.remove(&id);
        }
    }

    /// Keeps what is at JSON pointers of an answer, under these names.
    pub(crate) fn keep(&mut self, wanted: &[(String, &str)], answer: &Answered) {
        for (name, pointer) in wanted {
            if let Some(text) = answer.raw.0.pointer(pointer).and_then(Value::as_str) {
                self.kept.insert(name.clone(), text.to_owned());
            }
        }
    }

    /// The text with every `{name}` replaced by what was kept under it.
    pub(crate) fn filled(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('{') {
            let (name, after) = from.split_once('}').unwrap_or((from, ""));
            filled += before;
            match self.kept.get(name) {
                Some(value) => filled += value,
                None => filled += &format!("{{{name}}}"),
            }
            rest = after;
        }
        filled + rest
    }

    pub(crate) fn kept(&self, name: &str) -> Option<&String> {
        self.kept.get(name)
    }

    fn value(&mut self, value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| {
                    if LEFT_OUT.contains(&name.as_str()) {
                        // Whether it is there is compared.
                        return (name, Value::Bool(!value.is_null()));
                    }
                    let value = self.value(value);
                    (name, value)
                });
                Value::Object(members.collect())
            }
            Value::Array(all) => all.into_iter().map(|one| self.value(one)).collect(),
            Value::String(text) => Value::String(self.text(&text)),
            other => other,
        }
    }

    /// Ids by the order of their appearance, times as such.
    fn text(&mut self, text: &str) -> String {
        if is_time(text) {
            return "<time>".into();
        }
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(id) = rest.get(..UUID_LENGTH).filter(|id| is_uuid(id)) {
                plain += &self.called(id);
                rest = &rest[UUID_LENGTH..];
                continue;
            }
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
        plain
    }

    fn called(&mut self, id: &str) -> String {
        if let Some(name) = self.names.get(id) {
            return name.clone();
        }
        self.appeared.push(id.to_owned());
        let name = format!("#{}", self.appeared.len());
        self.names.insert(id.to_owned(), name.clone());
        name
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.body)
    }
}

fn is_uuid(text: &str) -> bool {
    let at = |(nth, byte): (usize, u8)| match nth {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == UUID_LENGTH && text.bytes().enumerate().all(at)
}

/// RFC 3339, as every answer has it.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && text.ends_with('Z')
        && bytes[..4].iter().all(u8::is_ascii_digit)
}
