//! Text as it appears in files and messages.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of a wrong value that a message repeats; the rest is cut.
const REPEATED_CHARS_MAX: usize = 80;

/// `text` as a TOML basic string, on one line.
pub(crate) fn toml_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `text` with `***` in the place of the password of a URL, as in `postgres://shop:***@db/shop`; what is no URL, or has
/// none, as it is. The name before a password stays; where there is only one part before the `@`, it may be a token and goes.
#[must_use]
pub fn without_password(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    // Brokers are named by several URLs in one text.
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        // Up to the next URL: a password may hold signs that nobody has escaped.
        let end = after.find("://").unwrap_or(after.len());
        let end = after[..end]
            .rfind(',')
            .filter(|_| end < after.len())
            .unwrap_or(end);
        let Some(sign) = after[..end].rfind('@') else {
            shown.push_str(before);
            rest = after;
            continue;
        };
        shown.push_str(before);
        match after[..sign].split_once(':') {
            Some((name, _)) => {
                shown.push_str(name);
                shown.push_str(":***");
            }
            None => shown.push_str("***"),
        }
        rest = &after[sign..];
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// A wrong value as messages repeat it: without the password of a URL, escaped and cut.
pub(crate) fn repeated(text: &str) -> String {
    let text = &*without_password(text);
    let mut start: String = text.chars().take(REPEATED_CHARS_MAX).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("`{}`", start.escape_debug())
}

/// Bytes of a file up to `bytes_max`, as text; what is wrong with it otherwise.
pub(crate) fn read_file(path: &std::path::Path, bytes_max: u64) -> Result<String, String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(bytes_max + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > bytes_max {
        return Err(format!("is larger than {bytes_max} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            (
                "postgres://shop:s3cret@db:5432/shop",
                "postgres://shop:***@db:5432/shop",
            ),
            ("redis://:s3cret@cache", "redis://:***@cache"),
            ("nats://s3cret@broker:4222", "nats://***@broker:4222"),
            ("amqp://a:s3/cr@et@b/%2f", "amqp://a:***@b/%2f"),
            (
                "nats://a:s3cret@one:1,nats://b:s3cret@two:2",
                "nats://a:***@one:1,nats://b:***@two:2",
            ),
            ("sqlite://data", "sqlite://data"),
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            ("ada@example.com", "ada@example.com"),
            ("memory:", "memory:"),
            ("", ""),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
