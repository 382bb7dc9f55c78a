//! Random bytes and jitter.

use std::time::Duration;

use rand::{Rng, RngCore};

/// `N` random bytes, fit for keys and tokens (a ChaCha generator seeded by the operating system).
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    generator().fill_bytes(&mut bytes);
    bytes
}

/// A random wait between zero and `max`, both possible: "full jitter".
///
/// Waits longer than 584 years count as 584 years.
#[must_use]
pub fn jitter(max: Duration) -> Duration {
    let nanos_max = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(generator().random_range(0..=nanos_max))
}

fn generator() -> impl RngCore {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that draws random numbers"
    )]
    rand::rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_from_call_to_call() {
        assert_ne!(bytes::<32>(), bytes::<32>());
        assert_eq!(bytes::<0>(), [0u8; 0]);
    }

    #[test]
    fn jitter_stays_within_its_bound_and_spreads() {
        let max = Duration::from_millis(100);
        let waits: Vec<_> = (0..1_000).map(|_| jitter(max)).collect();
        assert!(waits.iter().all(|wait| *wait <= max));
        assert!(
            waits.iter().any(|wait| *wait < max / 4)
                && waits.iter().any(|wait| *wait > max / 4 * 3)
        );
    }

    #[test]
    fn no_jitter_within_nothing() {
        assert_eq!(jitter(Duration::ZERO), Duration::ZERO);
        let _any = jitter(Duration::MAX);
    }
}
