//! One partition as a member sees it: what it asked for, what it has. No input or output, no clock.

use std::time::Duration;

use tokio::time::Instant;

/// The server keeps a request for a message so long.
pub(crate) const ASK: Duration = Duration::from_secs(5);

/// A request of which nothing was heard for so long beyond that was lost.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Nothing is asked for.
    Idle,
    /// Asked until then.
    Asked { until: Instant },
    /// A message is here.
    Held,
}

/// What a lane wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Nothing,
    /// Ask for the next message.
    Ask,
    /// The server was silent: see whether stream and consumer are there, then ask.
    Check,
}

impl Lane {
    pub(crate) fn want(self, now: Instant) -> Want {
        match self {
            Lane::Idle => Want::Ask,
            Lane::Asked { until } if now >= until => Want::Check,
            Lane::Asked { .. } | Lane::Held => Want::Nothing,
        }
    }

    /// When it will want something by itself.
    pub(crate) fn wakes(self) -> Option<Instant> {
        match self {
            Lane::Idle | Lane::Held => None,
            Lane::Asked { until } => Some(until),
        }
    }

    pub(crate) fn asked(now: Instant) -> Self {
        Lane::Asked {
            until: now + ASK + SILENCE,
        }
    }

    /// Nothing is asked for a moment: the server has something else to do first.
    pub(crate) fn resting(now: Instant) -> Self {
        const REST: Duration = Duration::from_millis(200);
        Lane::Asked { until: now + REST }
    }

    /// The request came to its end without a message.
    pub(crate) fn ended(self) -> Self {
        match self {
            Lane::Asked { .. } => Lane::Idle,
            other => other,
        }
    }

    /// The server refused the request, perhaps because the consumer is gone: a look comes first, and not at once.
    pub(crate) fn refused(self, now: Instant) -> Self {
        match self {
            Lane::Asked { .. } => Lane::resting(now),
            other => other,
        }
    }

    /// The connection is another one: what was asked on the old one is forgotten there.
    pub(crate) fn reconnected(self) -> Self {
        match self {
            Lane::Held => Lane::Held,
            _ => Lane::Idle,
        }
    }
}

/// Whether a partition's deliveries all came to this member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The number of the last delivery that came here; 0: of none.
    last: u64,
    /// Another one after each delivery that may have gone to somebody else.
    pub(crate) tenure: u64,
}

impl Turn {
    /// A delivery of that number came.
    pub(crate) fn comes(&mut self, number: u64) {
        if self.last == 0 || number != self.last + 1 {
            self.tenure += 1;
        }
        self.last = number;
    }

    /// The server's consumer may be another one, which counts anew.
    pub(crate) fn over(self) -> Self {
        Self { last: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lane_asks_waits_checks_and_holds() {
        let now = Instant::now();
        let asked = Lane::asked(now);
        assert_eq!(Lane::Idle.want(now), Want::Ask);
        assert_eq!(asked.want(now + ASK), Want::Nothing);
        assert_eq!(asked.want(now + ASK + SILENCE), Want::Check);
        assert_eq!(asked.ended(), Lane::Idle);
        let refused = asked.refused(now);
        assert_eq!(refused.want(now), Want::Nothing);
        assert_eq!(refused.want(refused.wakes().unwrap()), Want::Check);
        assert_eq!(asked.reconnected(), Lane::Idle);
        let held = Lane::Held;
        let kept = [held.ended(), held.refused(now), held.reconnected()];
        assert_eq!(kept, [held; 3]);
        assert_eq!(held.want(now + ASK * 100), Want::Nothing);
    }

    #[test]
    fn a_delivery_that_went_elsewhere_ends_a_tenure() {
        let mut turn = Turn::default();
        let mut tenures = Vec::new();
        for number in [4, 5, 6, 8, 9, 1] {
            turn.comes(number);
            tenures.push(turn.tenure);
        }
        assert_eq!(tenures, [1, 1, 1, 2, 2, 3]);
        turn = turn.over();
        turn.comes(2);
        assert_eq!(turn.tenure, 4, "another consumer's numbers");
    }
}
