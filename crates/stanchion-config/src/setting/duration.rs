//! Durations written with their unit: `250ms`, `30s`, `1h30m`.

use std::time::Duration;

use super::{Setting, is_not};
use crate::text::toml_string;

/// Units and their nanoseconds, longest first.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Setting for Duration {
    fn expected() -> String {
        "a duration such as `250ms`, `30s`, `5m` or `1h30m`".into()
    }

    fn parse(text: &str) -> Result<Self, String> {
        parse(text.trim()).ok_or_else(|| is_not(text, &Self::expected()))
    }

    fn show(&self) -> Option<String> {
        Some(toml_string(&written(*self)))
    }
}

/// Whole numbers with units, added up; `0` needs no unit.
fn parse(text: &str) -> Option<Duration> {
    match text {
        "" => return None,
        "0" => return Some(Duration::ZERO),
        _ => {}
    }
    let mut total = 0_u128;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = leading(rest, |c| c.is_ascii_digit())?;
        let (unit, after) = leading(after, |c| c.is_ascii_alphabetic())?;
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u128>().ok()?.checked_mul(*nanos)?)?;
        rest = after;
    }
    let secs = u64::try_from(total / 1_000_000_000).ok()?;
    Some(Duration::new(secs, (total % 1_000_000_000) as u32))
}

/// `text` split after its first characters that are `wanted`, at least one.
fn leading(text: &str, wanted: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// In the longest unit that gives a whole number.
fn written(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    let (unit, size) = UNITS
        .into_iter()
        .find(|(_, size)| nanos.is_multiple_of(*size))
        .unwrap_or(("ns", 1));
    format!("{}{unit}", nanos / size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(Duration::parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::parse("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(Duration::parse("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(Duration::parse("0"), Ok(Duration::ZERO));
        for wrong in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "5 m",
            "1hh",
            "1y",
            "99999999999999999999d",
        ] {
            assert!(Duration::parse(wrong).is_err(), "{wrong:?} is no duration");
        }
    }

    #[test]
    fn a_duration_is_written_in_its_longest_whole_unit() {
        assert_eq!(written(Duration::from_secs(90)), "90s");
        assert_eq!(written(Duration::from_secs(7_200)), "2h");
        assert_eq!(written(Duration::ZERO), "0s");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(secs: u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(secs, nanos);
            prop_assert_eq!(parse(&written(duration)), Some(duration));
        }
    }
}
