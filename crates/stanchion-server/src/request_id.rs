//! The id of a request.

use std::fmt;
use std::ops::Deref;

/// The longest that is taken over.
pub(crate) const REQUEST_ID_CHARS_MAX: usize = 64;

/// The id of a request, in place: every request has one, and asks for no memory for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RequestId {
    text: [u8; REQUEST_ID_CHARS_MAX],
    length: usize,
}

/// As much of it as there is room for; who makes one sees to it that it fits.
impl From<&str> for RequestId {
    fn from(id: &str) -> Self {
        let length = id.floor_char_boundary(REQUEST_ID_CHARS_MAX);
        let mut text = [0; REQUEST_ID_CHARS_MAX];
        text[..length].copy_from_slice(&id.as_bytes()[..length]);
        Self { text, length }
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        // It was text, and cut between characters.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_its_text_as_far_as_there_is_room() {
        let long = "é".repeat(REQUEST_ID_CHARS_MAX);
        for (given, kept) in [
            ("", ""),
            ("r-1", "r-1"),
            (&*long, &long[..REQUEST_ID_CHARS_MAX]),
            (&*format!("x{long}"), &*format!("x{}", &long[..62])),
        ] {
            let id = RequestId::from(given);
            assert_eq!((&*id, id.to_string().as_str()), (kept, kept));
        }
        assert_eq!(format!("{:?}", RequestId::from("r-1")), "\"r-1\"");
        assert_ne!(RequestId::from("r-1"), RequestId::from("r-10"));
    }
}
