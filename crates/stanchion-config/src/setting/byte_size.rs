use std::fmt;

use super::{Setting, is_not};
use crate::text::toml_string;

/// Units and their bytes, largest first.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes, written like `1MiB`, `512KiB`, `10MB`, `100B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The bytes, as a length in memory; the longest there is where it does not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for ByteSize {
    fn expected() -> String {
        "a size such as `1MiB`, `512KiB` or `100B`".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        parse(text.trim()).ok_or_else(|| is_not(text, &Self::expected()))
    }

    fn show(&self) -> Option<String> {
        Some(toml_string(&self.to_string()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, size): &(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*size);
        let (unit, size) = UNITS.into_iter().find(whole).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

fn parse(text: &str) -> Option<ByteSize> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, size) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
    number.parse::<u64>().ok()?.checked_mul(size).map(ByteSize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_size_has_a_number_and_a_unit() {
        assert_eq!(ByteSize::parse("1MiB"), Ok(ByteSize(1_048_576)));
        assert_eq!(ByteSize::parse("10 MB"), Ok(ByteSize(10_000_000)));
        for wrong in ["", "10", "MiB", "1mib", "-1B", "1.5MiB", "99999999999TiB"] {
            assert!(ByteSize::parse(wrong).is_err(), "{wrong:?} is no size");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes: u64) {
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).to_string()), Ok(ByteSize(bytes)));
        }
    }
}
