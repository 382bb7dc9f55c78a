use std::fmt::Write as _;

use stanchion_runtime::clock;

/// The text of a second, without its end: most lines are of the same second as the one before.
#[derive(Default)]
pub(super) struct Second {
    text: String,
    number: i64,
}

impl Second {
    /// The time now, with so many digits behind the second: at most 9.
    pub(super) fn write(&mut self, text: &mut String, digits: usize) {
        let now = clock::now();
        let (number, nanos) = (now.as_second(), now.subsec_nanosecond());
        let Ok(mut rest) = u32::try_from(nanos) else {
            // Before 1970 the parts count the other way round. Writing to a string does not fail.
            let _ = write!(text, "{now:.digits$}");
            return;
        };
        if number != self.number || self.text.is_empty() {
            self.number = number;
            self.text.clear();
            let _ = write!(self.text, "{now:.0}");
            self.text.truncate(self.text.trim_end_matches('Z').len());
        }
        text.push_str(&self.text);
        let mut end = *b".000000000Z";
        for digit in end[1..=9].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        end[digits + 1] = b'Z';
        // They are digits all.
        text.push_str(std::str::from_utf8(&end[..digits + 2]).unwrap_or_default());
    }
}
