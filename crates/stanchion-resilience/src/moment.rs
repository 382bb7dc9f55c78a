//! Monotonic time as the cores take it.

use std::ops::Add;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// How long before its first use the epoch lies: a paused test clock may stand before the real one, never so far.
const BEFORE: Duration = Duration::from_secs(24 * 3_600);

/// A point in monotonic time: nanoseconds since an epoch of this process.
///
/// Every core takes it as a parameter and never reads a clock; [`Moment::now`] is what the async functions pass
/// in. It follows `tokio::time::Instant`, so tests can pause and advance it, and a wall clock that jumps does not
/// matter. Arithmetic saturates; nothing may depend on the absolute value, which differs from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The epoch, where simulations begin.
    pub const START: Moment = Moment(0);

    /// The current moment of tokio's clock.
    #[must_use]
    pub fn now() -> Self {
        Moment::from(Instant::now())
    }

    /// `nanos` nanoseconds after the epoch.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Moment(nanos)
    }

    /// Nanoseconds since the epoch.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `span` before this one, at most back to the epoch.
    #[must_use]
    pub fn before(self, span: Duration) -> Moment {
        Moment(self.0.saturating_sub(nanos(span)))
    }

    /// The same moment as tokio's timers want it.
    #[must_use]
    pub fn instant(self) -> Instant {
        epoch() + Duration::from_nanos(self.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0.saturating_add(nanos(span)))
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        Moment(nanos(instant.saturating_duration_since(epoch())))
    }
}

/// The whole of `span` in nanoseconds; 584 years at most.
pub(crate) fn nanos(span: Duration) -> u64 {
    span.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(span.subsec_nanos()))
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        #[allow(
            clippy::disallowed_methods,
            reason = "a paused clock that a test has advanced must not become the epoch of other runtimes"
        )]
        let real = Instant::from_std(std::time::Instant::now());
        real.checked_sub(BEFORE).unwrap_or(real)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_between_moments_saturate() {
        let early = Moment::START + Duration::from_secs(1);
        let late = early + Duration::from_millis(250);
        assert_eq!(late.since(early), Duration::from_millis(250));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.before(Duration::from_secs(5)), Moment::START);
        assert_eq!(late + Duration::MAX, Moment::from_nanos(u64::MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_follows_the_paused_clock_and_comes_back_as_an_instant() {
        let before = Moment::now();
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(Moment::now().since(before), Duration::from_secs(3_600));
        assert_eq!(Moment::from(before.instant()), before);
    }
}
