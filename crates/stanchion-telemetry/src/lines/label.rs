use crate::LogFormat;

/// A field's name in the words of both forms of the log, up to its value; made by [`label!`](crate::label), at compile
/// time: a line that comes by the thousand does not look at each of its names again.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// With the quote that opens a text.
    json: &'static str,
    pretty: &'static str,
}

impl Label {
    /// Not for calling: [`label!`](crate::label) does.
    #[doc(hidden)]
    #[must_use]
    pub const fn of(name: &str, json: &'static str, pretty: &'static str) -> Self {
        let bytes = name.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let is_plain = matches!(bytes[at], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.');
            assert!(is_plain, "a field's name is of [a-z0-9_.]");
            at += 1;
        }
        let has_own_place = matches!(bytes, b"message" | b"timestamp" | b"level" | b"target");
        assert!(!has_own_place, "a line has that in a place of its own");
        Self { json, pretty }
    }

    /// What stands before a text, and what behind it.
    pub(super) fn of_text(self, format: LogFormat) -> (&'static str, &'static str) {
        match format {
            LogFormat::Json => (self.json, "\""),
            LogFormat::Pretty => (self.pretty, ""),
        }
    }

    /// What stands before a number.
    pub(super) fn of_number(self, format: LogFormat) -> &'static str {
        match format {
            LogFormat::Json => &self.json[..self.json.len() - 1],
            LogFormat::Pretty => self.pretty,
        }
    }
}

/// The [`Label`](crate::Label) of a field: `label!("request_id")`. The name is of `[a-z0-9_.]`, and none of those that a
/// line has in a place of their own (`message`, `timestamp`, `level`, `target`); others do not compile.
#[macro_export]
macro_rules! label {
    ($name:literal) => {
        const {
            $crate::Label::of(
                $name,
                ::core::concat!(",\"", $name, "\":\""),
                ::core::concat!(" ", $name, "="),
            )
        }
    };
}
