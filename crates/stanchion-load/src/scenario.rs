//! What a request is: one scenario of a mix, run by a caller with a connection of its own.

use async_trait::async_trait;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::http::{Connection, Request};

/// One thing that users do, a request or a few in a row.
///
/// Shared by all callers: what it keeps between runs (tokens to be used once, ids that were made) stands behind a lock
/// of its own. A [`Request`] is a scenario that expects a 2xx answer.
#[async_trait]
pub trait Scenario: Send + Sync + 'static {
    /// Does it once. Its latency is the time from the intended start until this returns.
    ///
    /// # Errors
    /// Whatever is not the answer that a user wants; the run goes on.
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure>;
}

/// Who runs a scenario: a kept connection, and chance.
///
/// Chance depends on the seed and the arrival's number alone, so that it is the same whichever connection was free.
#[derive(Debug)]
pub struct Caller {
    /// Connected on first use, and again whenever it broke.
    pub connection: Connection,
    /// The arrival's number, from zero.
    pub number: u64,
    /// Begins anew with each arrival.
    pub dice: StdRng,
    seed: u64,
}

/// Why a scenario failed. Counted by kind; the kinds that a report shows are bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// An answer with a status that was not expected.
    #[error("status {0}")]
    Status(u16),
    /// No connection, or it broke.
    #[error("transport: {0}")]
    Transport(String),
    /// Not done within the time of a request.
    #[error("timed out")]
    TimedOut,
    /// An answer that says something else than it should; the text is a kind, not the answer.
    #[error("{0}")]
    Unexpected(&'static str),
}

impl Caller {
    pub(crate) fn new(connection: Connection, seed: u64) -> Self {
        Self {
            connection,
            number: 0,
            dice: StdRng::seed_from_u64(seed),
            seed,
        }
    }

    pub(crate) fn begin(&mut self, number: u64) {
        self.number = number;
        // Neighbours must not draw alike: the generator's own seeding spreads the bits.
        self.dice = StdRng::seed_from_u64(self.seed.rotate_left(32) ^ number);
    }
}

#[async_trait]
impl Scenario for Request {
    async fn run(&self, caller: &mut Caller) -> Result<(), Failure> {
        let response = caller.connection.send(self).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(Failure::Status(response.status().as_u16()))
    }
}
