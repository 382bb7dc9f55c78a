//! What messages take of memory, about, and how many to read at once so that they take little.

use serde_json::Value;

use crate::{FeedPage, Message};

/// The most log entries read at once, and the first time: nothing is known of their size then.
pub(crate) const ENTRIES_MAX: usize = 256;
const FIRST_ENTRIES: usize = 16;

/// Memory that a page takes, where its messages are like those of the one before it.
const BYTES_MAX: usize = 4 << 20;

/// So much longer than the last page the next one is, at most.
const GROWTH: usize = 8;

/// How many entries of a feed to read next: as many as the messages of the last page were small.
#[derive(Debug)]
pub(crate) struct PageSize(usize);

impl Default for PageSize {
    fn default() -> Self {
        Self(FIRST_ENTRIES)
    }
}

impl PageSize {
    pub(crate) fn entries(&self) -> usize {
        self.0
    }

    /// A page was read.
    pub(crate) fn read(&mut self, page: &FeedPage) {
        let bytes: usize = page.messages.iter().map(bytes_of).sum();
        let each = bytes / page.messages.len().max(1);
        let fits = BYTES_MAX / each.max(1);
        self.0 = fits.min(self.0 * GROWTH).clamp(1, ENTRIES_MAX);
    }
}

/// Memory that a message takes, about: its texts, and what holds them.
pub(crate) fn bytes_of(message: &Message) -> usize {
    const ENVELOPE: usize = 512;
    ENVELOPE + message.key.len() + bytes_of_value(&message.payload)
}

fn bytes_of_value(value: &Value) -> usize {
    const VALUE: usize = 32;
    const MEMBER: usize = 48;
    VALUE
        + match value {
            Value::String(text) => text.len(),
            Value::Array(all) => all.iter().map(bytes_of_value).sum(),
            Value::Object(members) => {
                let members = members.iter();
                members
                    .map(|(name, value)| MEMBER + name.len() + bytes_of_value(value))
                    .sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
