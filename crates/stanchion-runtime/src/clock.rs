//! Wall clock time.

use jiff::Timestamp;

/// The current instant, cut to whole microseconds.
///
/// Stores keep microseconds, so what is returned before a write equals what a later read returns. The clock of
/// the machine may be set back: order comes from versions and positions, never from this.
#[must_use]
pub fn now() -> Timestamp {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    let exact = Timestamp::now();
    Timestamp::from_microsecond(exact.as_microsecond())
        .expect("a cut timestamp is within the range of the exact one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_has_no_finer_part_than_a_microsecond() {
        for _ in 0..100 {
            assert_eq!(now().subsec_nanosecond() % 1_000, 0);
        }
    }

    #[test]
    fn now_survives_its_own_text() {
        let now = now();
        assert_eq!(now.to_string().parse::<Timestamp>().unwrap(), now);
    }
}
