//! Text as it appears in files and messages.

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

/// A wrong value as messages repeat it: escaped and cut.
pub(crate) fn repeated(text: &str) -> String {
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
