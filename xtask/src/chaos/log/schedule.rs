//! What is done and in which order: a function of the seed alone.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Longest peace between two faults.
const PEACE_MS_MAX: u64 = 1_200;

/// A COMMIT in the driver's words, with what stands around it, is so long.
const COMMIT_BYTES: usize = 48;
const REPLY_BYTES: usize = 96;
const TURN_BYTES: usize = 2_500;

/// One thing that goes wrong. Times are in milliseconds, `who` is taken modulo who there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9`, and a new life that repeats what the old one left open.
    KillWriter {
        who: usize,
    },
    KillFollower {
        who: usize,
    },
    /// `SIGSTOP`, and `SIGCONT` later.
    PauseWriter {
        who: usize,
        ms: u64,
    },
    PauseFollower {
        who: usize,
        ms: u64,
    },
    /// A second process of a follower beside the first, which stands still meanwhile and then goes on.
    Twin {
        who: usize,
        ms: u64,
    },
    /// `pg_terminate_backend` on one of the log's connections.
    TerminateBackend {
        who: usize,
    },
    /// `kill -9` on one: the whole server resets.
    KillBackend {
        who: usize,
    },
    /// `SIGSTOP` on one, perhaps while it holds the log's lock.
    PauseBackend {
        who: usize,
        ms: u64,
    },
    /// Immediate stop of the server, a pause, recovery.
    CrashServer {
        ms: u64,
    },
    /// Commits wait for a replica that does not exist; their backends are terminated: committed, and nobody is told.
    GhostReplica {
        ms: u64,
    },
    /// The network ends so many bytes before the end of a COMMIT.
    CutCommit {
        bytes: usize,
    },
    /// The network ends so many bytes into the answer to a COMMIT.
    CutReply {
        bytes: usize,
    },
    /// The network ends anywhere in what a client says.
    CutAnywhere {
        bytes: usize,
    },
    /// Every connection through the proxy ends.
    Sever,
    /// Nothing passes and nothing is closed.
    Stall {
        ms: u64,
    },
    /// Nobody can connect.
    Refuse {
        ms: u64,
    },
    Delay {
        ms: u64,
    },
    /// Somebody takes every connection the server has left.
    Hoard {
        ms: u64,
    },
    /// An unrelated transaction stays open, in the log's database or in another one.
    LongTransaction {
        ms: u64,
        elsewhere: bool,
    },
    /// The follower of that name is killed and replays the log. Once a run, in the middle.
    Rebuild,
}

/// An endless pack of faults: each kind comes before any kind comes again.
pub(super) struct Schedule {
    dice: StdRng,
    pack: Vec<Fault>,
    /// Cuts sweep over the bytes of a commit instead of hitting some twice and others never.
    cuts: usize,
}

impl Schedule {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let cuts = dice.random_range(0..COMMIT_BYTES);
        let pack = Vec::new();
        Self { dice, pack, cuts }
    }

    /// How long there is peace, and what comes then.
    pub(super) fn next(&mut self) -> (Duration, Fault) {
        if self.pack.is_empty() {
            self.pack = self.fresh();
            self.pack.shuffle(&mut self.dice);
        }
        let fault = self.pack.pop().unwrap_or(Fault::Sever);
        let peace = self.dice.random_range(0..PEACE_MS_MAX);
        (Duration::from_millis(peace), fault)
    }

    fn fresh(&mut self) -> Vec<Fault> {
        let mut pack = Vec::new();
        for _ in 0..3 {
            self.cuts += 1;
            let bytes = self.cuts % COMMIT_BYTES;
            pack.push(Fault::CutCommit { bytes });
            let bytes = self.cuts % REPLY_BYTES;
            pack.push(Fault::CutReply { bytes });
        }
        let dice = &mut self.dice;
        let who = dice.random_range(0..1_000);
        let mut ms = |longest: u64| dice.random_range(50..longest);
        pack.extend([
            Fault::KillWriter { who },
            Fault::KillWriter { who: who + 1 },
            Fault::KillFollower { who },
            Fault::PauseWriter { who, ms: ms(3_000) },
            Fault::PauseFollower { who, ms: ms(3_000) },
            Fault::Twin { who, ms: ms(2_500) },
            Fault::TerminateBackend { who },
            Fault::TerminateBackend { who: who / 7 },
            Fault::KillBackend { who },
            Fault::PauseBackend { who, ms: ms(3_000) },
            Fault::CrashServer { ms: ms(1_500) },
            Fault::GhostReplica { ms: ms(1_500) },
            Fault::Sever,
            Fault::Stall { ms: ms(4_000) },
            Fault::Refuse { ms: ms(1_500) },
            Fault::Delay { ms: ms(100) },
            Fault::Hoard { ms: ms(4_000) },
            Fault::LongTransaction {
                ms: ms(6_000),
                elsewhere: true,
            },
            Fault::LongTransaction {
                ms: ms(6_000),
                elsewhere: false,
            },
        ]);
        let bytes = dice.random_range(0..TURN_BYTES);
        pack.push(Fault::CutAnywhere { bytes });
        pack
    }
}

impl Fault {
    /// As the balance sheet calls its kind.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::KillWriter { .. } => "a writer killed",
            Self::KillFollower { .. } => "a follower killed",
            Self::PauseWriter { .. } => "a writer stopped for a while",
            Self::PauseFollower { .. } => "a follower stopped for a while",
            Self::Twin { .. } => "two processes of one follower",
            Self::TerminateBackend { .. } => "a backend terminated",
            Self::KillBackend { .. } => "a backend killed, the server reset",
            Self::PauseBackend { .. } => "a backend stopped for a while",
            Self::CrashServer { .. } => "the server crashed",
            Self::GhostReplica { .. } => "committed, but cut off before the answer",
            Self::CutCommit { .. } => "cut within a commit",
            Self::CutReply { .. } => "cut within a commit's answer",
            Self::CutAnywhere { .. } => "cut anywhere",
            Self::Sever => "all connections cut",
            Self::Stall { .. } => "the network stalled",
            Self::Refuse { .. } => "connections refused",
            Self::Delay { .. } => "a slow network",
            Self::Hoard { .. } => "no connection left",
            Self::LongTransaction {
                elsewhere: true, ..
            } => "a long transaction in another database",
            Self::LongTransaction { .. } => "a long transaction beside",
            Self::Rebuild => "a follower rebuilt",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn first(seed: u64, count: usize) -> Vec<(Duration, Fault)> {
        let mut schedule = Schedule::of(seed);
        (0..count).map(|_| schedule.next()).collect()
    }

    #[test]
    fn a_seed_is_a_schedule() {
        assert_eq!(first(7, 200), first(7, 200));
        assert_ne!(first(7, 200), first(8, 200));
    }

    #[test]
    fn every_kind_of_fault_comes_before_long() {
        let seen: BTreeSet<_> = first(3, 26).iter().map(|(_, fault)| fault.name()).collect();
        assert_eq!(seen.len(), 20, "{seen:?}");
    }

    #[test]
    fn ten_minutes_cut_a_commit_at_every_byte() {
        let seen: BTreeSet<_> = first(5, 26 * COMMIT_BYTES / 3)
            .into_iter()
            .filter_map(|(_, fault)| match fault {
                Fault::CutCommit { bytes } => Some(bytes),
                _ => None,
            })
            .collect();
        assert_eq!(seen, (0..COMMIT_BYTES).collect());
    }
}
