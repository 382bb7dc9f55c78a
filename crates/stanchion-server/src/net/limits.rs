//! How long connections may take for what, how often that is looked at, and how much goes over one at once.

use std::time::Duration;

use super::paced::BodyRate;

/// Whoever takes too long is noticed so late at most, however long it may take.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(1_500);

/// How long connections may take for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) header: Duration,
    pub(crate) idle: Duration,
    pub(crate) write: Duration,
    pub(crate) body: BodyRate,
    /// Of HTTP/2, at once.
    pub(crate) streams: u32,
}

impl ConnectionLimits {
    /// How soon a connection is looked at again that has rested for so long.
    pub(super) fn look_in(&self, rested: Duration) -> Duration {
        let shortest = self.header.min(self.write).min(self.idle);
        let every = (shortest / 4).min(LOOK_EVERY_MAX);
        // That it rests was seen by a look, which was late already: its end is not late once more.
        match self.idle.saturating_sub(rested) {
            Duration::ZERO => every,
            left => every.min(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G1: two seconds after its time at most, by default and where operators are patient.
    #[test]
    fn whoever_takes_too_long_is_noticed_within_two_seconds_however_long_it_may_take() {
        let two = Duration::from_secs(2);
        for seconds in [[10, 75, 30], [10, 76, 30], [300, 3_601, 3_600]] {
            let [header, idle, write] = seconds.map(Duration::from_secs);
            let (minimum, grace) = (0, header);
            let limits = ConnectionLimits {
                header,
                idle,
                write,
                body: BodyRate { minimum, grace },
                streams: 1,
            };
            let first = limits.look_in(Duration::ZERO);
            assert!(first < two, "{limits:?}");
            // Of HTTP/1.1 it is first seen that somebody rests.
            let mut rested = Duration::ZERO;
            while rested < idle {
                rested += limits.look_in(rested);
            }
            assert!(first + rested - idle < two, "{limits:?}");
            assert_eq!(limits.look_in(rested), first, "told to go, it is looked at");
        }
    }
}
