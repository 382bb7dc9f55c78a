//! Deadline: an absolute end that travels with the request, hop by hop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::guard::{Guard, GuardLayer};
use crate::moment::nanos;
use crate::{Failure, Moment, Refusal};

/// With less time left no work is started: it could only be thrown away.
pub const FLOOR: Duration = Duration::from_millis(5);

/// The HTTP header that carries what is left, as stanchion's server reads it; gRPC has `grpc-timeout`.
pub const HEADER: &str = "x-request-timeout";

/// When the caller stops waiting. `Copy`, and only ever moved nearer.
///
/// ```
/// use std::time::Duration;
/// use stanchion_resilience::{Moment, deadline::Deadline};
///
/// let now = Moment::START;
/// let deadline = Deadline::after(now, Duration::from_secs(1));
/// let hop = deadline.for_hop(now, Duration::from_millis(2))?;
/// assert_eq!(hop, Duration::from_millis(998));
/// assert!(deadline.for_hop(now + Duration::from_millis(994), Duration::from_millis(2)).is_err());
/// # Ok::<(), stanchion_resilience::Refusal>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Moment);

impl Deadline {
    /// No end: what a caller without patience limits has.
    pub const NONE: Deadline = Deadline(Moment::from_nanos(u64::MAX));

    /// The end at `end`.
    #[must_use]
    pub fn at(end: Moment) -> Self {
        Deadline(end)
    }

    /// The end `budget` after `now`.
    #[must_use]
    pub fn after(now: Moment, budget: Duration) -> Self {
        Deadline(now + budget)
    }

    /// The nearer of two ends.
    #[must_use]
    pub fn earlier(self, other: Deadline) -> Self {
        self.min(other)
    }

    /// The moment itself; none without a deadline.
    #[must_use]
    pub fn moment(self) -> Option<Moment> {
        (self != Deadline::NONE).then_some(self.0)
    }

    /// What is left of it at `now`.
    #[must_use]
    pub fn left(self, now: Moment) -> Duration {
        self.0.since(now)
    }

    /// What the next hop may take, `cost` of the way subtracted.
    ///
    /// # Errors
    /// [`Refusal::NoTimeLeft`] when that is less than [`FLOOR`].
    pub fn for_hop(self, now: Moment, cost: Duration) -> Result<Duration, Refusal> {
        let left = self.left(now).saturating_sub(cost);
        if left < FLOOR {
            return Err(Refusal::NoTimeLeft);
        }
        Ok(left)
    }

    /// Runs `call` until the deadline; dropping it is how the work is cancelled.
    ///
    /// # Errors
    /// Refused with less than [`FLOOR`] left, timed out when the deadline passes, else what `call` gave.
    pub async fn call<T, E>(
        self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure<E>> {
        let left = self.for_hop(Moment::now(), Duration::ZERO)?;
        if self == Deadline::NONE {
            return call.await.map_err(Failure::Remote);
        }
        match tokio::time::timeout_at(self.0.instant(), call).await {
            Ok(result) => result.map_err(Failure::Remote),
            Err(_elapsed) => Err(Failure::TimedOut(left)),
        }
    }

    /// A tower layer with this one absolute end for every request: for jobs and batches.
    #[must_use]
    pub fn layer(self) -> GuardLayer<Self> {
        GuardLayer(self)
    }
}

impl Guard for Deadline {
    async fn guard<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, Failure<E>> {
        self.call(call).await
    }
}

/// `left` as an [`x-request-timeout`](HEADER) header: milliseconds, rounded down, eight digits at most.
#[must_use]
pub fn http_timeout(left: Duration) -> String {
    format!("{}ms", left.as_millis().min(99_999_999))
}

/// `left` as a `grpc-timeout` header: at most eight digits and a unit, rounded down, so no hop gets more than is left.
#[must_use]
pub fn grpc_timeout(left: Duration) -> String {
    const DIGITS: u128 = 100_000_000;
    let units = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
    ];
    let left = left.as_nanos();
    let fitting = units.into_iter().find(|(size, _)| left / size < DIGITS);
    match fitting {
        Some((size, unit)) => format!("{}{unit}", left / size),
        None => format!("{}H", (left / 3_600_000_000_000).min(DIGITS - 1)),
    }
}

/// What a `grpc-timeout` header says; none when it is malformed: a server refuses the call then, it does not take it for one without a deadline.
#[must_use]
pub fn parse_grpc_timeout(header: &str) -> Option<Duration> {
    let unit = header.chars().next_back().filter(char::is_ascii)?;
    let digits = &header[..header.len() - 1];
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        'n' => Some(Duration::from_nanos(count)),
        'u' => Some(Duration::from_micros(count)),
        'm' => Some(Duration::from_millis(count)),
        'S' => Some(Duration::from_secs(count)),
        'M' => Some(Duration::from_secs(count * 60)),
        'H' => Some(Duration::from_secs(count * 3_600)),
        _ => None,
    }
}

/// What the way to a dependency and back costs, learned from its calls; clones learn together.
///
/// A moving average over about eight calls of the round trip minus the time the dependency says it worked.
#[derive(Debug, Clone, Default)]
pub struct HopCost {
    nanos: Arc<AtomicU64>,
}

impl HopCost {
    /// Takes in one call.
    pub fn learn(&self, round_trip: Duration, worked: Duration) {
        let cost = nanos(round_trip.saturating_sub(worked));
        let before = self.nanos.load(Ordering::Relaxed);
        let after = if before == 0 {
            cost
        } else {
            before - before / 8 + cost / 8
        };
        self.nanos.store(after, Ordering::Relaxed);
    }

    /// The present estimate; zero before the first call.
    #[must_use]
    pub fn estimate(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn three_hops_share_one_budget_and_none_starts_below_the_floor() {
        let (mut now, deadline) = (Moment::START, Deadline::after(Moment::START, 100 * MS));
        let mut hops = 0;
        // Each hop works 40 ms and costs 2 ms of way; the third would begin with 14 ms, the fourth with nothing.
        while deadline.for_hop(now, 2 * MS).is_ok() {
            hops += 1;
            now = now + 42 * MS;
        }
        assert_eq!(hops, 3);
        let late = Moment::START + 94 * MS;
        assert_eq!(deadline.for_hop(late, 2 * MS), Err(Refusal::NoTimeLeft));
        assert_eq!(deadline.for_hop(late, MS), Ok(FLOOR));
    }

    #[test]
    fn a_deadline_only_moves_nearer() {
        let far = Deadline::after(Moment::START, 10 * MS);
        assert_eq!(far.earlier(Deadline::NONE), far);
        assert_eq!(
            far.earlier(Deadline::after(Moment::START, MS))
                .left(Moment::START),
            MS
        );
        assert_eq!(Deadline::NONE.moment(), None);
    }

    #[test]
    fn a_header_says_what_is_left_in_milliseconds() {
        assert_eq!(http_timeout(Duration::from_micros(998_700)), "998ms");
        assert_eq!(http_timeout(Duration::MAX), "99999999ms");
    }

    #[test]
    fn the_cost_of_a_hop_is_learned() {
        let cost = HopCost::default();
        assert_eq!(cost.estimate(), Duration::ZERO);
        for _ in 0..100 {
            cost.learn(23 * MS, 20 * MS);
        }
        assert!(
            cost.estimate() > 2 * MS && cost.estimate() <= 3 * MS,
            "{:?}",
            cost.estimate()
        );
    }

    #[test]
    fn malformed_grpc_timeouts_are_none() {
        for wrong in ["", "S", "1", "-1S", "1.5S", "123456789S", "1x", "1é", "+1S"] {
            assert_eq!(parse_grpc_timeout(wrong), None, "{wrong:?}");
        }
        assert_eq!(
            parse_grpc_timeout("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
    }

    proptest! {
        #[test]
        fn a_grpc_timeout_never_grows_on_its_way(nanos in 0..99_999_999_000_000_000_u64) {
            let left = Duration::from_nanos(nanos);
            let read = parse_grpc_timeout(&grpc_timeout(left)).expect("what is written is read");
            prop_assert!(read <= left);
            prop_assert!(left - read <= left / 100_000 + Duration::from_nanos(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_dropped_at_the_deadline() {
        let begun = Moment::now();
        let deadline = Deadline::after(begun, 100 * MS);
        let endless = deadline
            .call(std::future::pending::<Result<(), ()>>())
            .await;
        assert_eq!(endless, Err(Failure::TimedOut(100 * MS)));
        assert_eq!(Moment::now().since(begun).as_millis() / 2, 50);
        let too_late = deadline.call(async { Ok::<_, ()>(()) }).await;
        assert_eq!(too_late, Err(Failure::Refused(Refusal::NoTimeLeft)));
        assert_eq!(Deadline::NONE.call(async { Ok::<_, ()>(7) }).await, Ok(7));
    }
}
