//! Text on one line, whatever is in it.

use std::fmt::{self, Write as _};

use crate::LogFormat;

/// The longest value of a field, in bytes, with the mark that it was cut.
pub(super) const VALUE_BYTES_MAX: usize = 8 * 1024;

/// What stands where the rest of a value was cut.
pub(super) const CUT: char = '…';

/// Appends a text in the form's words: JSON has it in quotes.
pub(super) fn text(out: &mut String, format: LogFormat, text: &str) {
    match format {
        LogFormat::Json => {
            out.push('"');
            part(out, format, text);
            out.push('"');
        }
        LogFormat::Pretty => part(out, format, text),
    }
}

/// Appends what is written, cut while it is: a huge value is never built.
pub(super) fn written(out: &mut String, format: LogFormat, written: fmt::Arguments<'_>) {
    let quote = format == LogFormat::Json;
    out.extend(quote.then_some('"'));
    let mut start = Start {
        out,
        format,
        room: VALUE_BYTES_MAX - CUT.len_utf8(),
    };
    if start.write_fmt(written).is_err() {
        out.push(CUT);
    }
    out.extend(quote.then_some('"'));
}

/// The start of a text; refuses what does not fit, which ends the writing.
struct Start<'a> {
    out: &'a mut String,
    format: LogFormat,
    room: usize,
}

impl fmt::Write for Start<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(self.room);
        part(self.out, self.format, &text[..fits]);
        self.room -= fits;
        if fits == text.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// Whether a byte goes as it is in either form: printable ASCII without quote and backslash.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// The same of all bytes, without a branch for each: so a processor compares sixteen at once.
fn are_plain(bytes: &[u8]) -> bool {
    let of_block = |block: &[u8; 16]| {
        let each = block.iter().map(|byte| is_plain(*byte));
        each.fold(true, |all, plain| all & plain)
    };
    let (blocks, rest) = bytes.as_chunks();
    // What is left, filled up with what is plain.
    let mut last = [b' '; 16];
    last[..rest.len()].copy_from_slice(rest);
    blocks.iter().all(of_block) && of_block(&last)
}

/// Appends a text, or a part of one. Most have nothing to escape and go as they are.
pub(super) fn part(out: &mut String, format: LogFormat, text: &str) {
    if are_plain(text.as_bytes()) {
        return out.push_str(text);
    }
    let plain = text.bytes().position(|byte| !is_plain(byte));
    let (plain, rest) = text.split_at(plain.unwrap_or(text.len()));
    out.push_str(plain);
    for character in rest.chars() {
        match format {
            LogFormat::Json => json(out, character),
            LogFormat::Pretty if disturbs(character) => out.extend(character.escape_default()),
            LogFormat::Pretty => out.push(character),
        }
    }
}

fn json(out: &mut String, character: char) {
    match character {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // Each is in the plane that four digits reach.
        _ if disturbs(character) => {
            // Writing to a string does not fail.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
        _ => out.push(character),
    }
}

/// What breaks a line, moves a terminal's cursor or turns the direction of writing, in one viewer or another.
pub(super) fn disturbs(character: char) -> bool {
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || breaks || turns
}
