//! Attempts with what holds 256 random bits: refresh tokens, codes, clients' secrets, the tokens of mails.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use stanchion::server::network;

use super::attempt::{Attempt, Kind};
use super::{Attempts, Limits};
use crate::application::Failure;
use crate::application::answers::Answers;

/// Addresses that brought something wrong lately, in this process.
#[derive(Debug)]
pub(super) struct Suspects {
    known: Answers<IpAddr, ()>,
    /// As long as the limit remembers what it counted.
    kept_for: Duration,
}

/// An attempt that may be made. Dropped, it may have been wrong.
#[must_use]
pub(crate) struct TokenAttempt {
    /// Whose attempt it is; `None` where nothing is limited, and once it is known what came of it.
    of: Option<(Arc<Limits>, IpAddr)>,
    /// Of a suspect it was counted before.
    counted: Option<Attempt>,
}

impl Suspects {
    pub(super) fn new(addresses_max: usize, kept_for: Duration) -> Self {
        Self {
            known: Answers::at_most(addresses_max),
            kept_for,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    fn has(&self, address: IpAddr) -> bool {
        self.known.get_within(address, self.kept_for).is_some()
    }

    fn note(&self, address: IpAddr) {
        self.known.remember(self.known.ask(), address, ());
    }
}

impl Attempts {
    /// Before a refresh token, a code or a client's secret is looked at.
    ///
    /// What nobody guesses in the age of the universe needs no count before it is looked at: what is right costs nothing, no
    /// question to a shared counter either. Only what is wrong is counted, and from then on, for as long as the limit
    /// remembers it, whatever comes from that address is counted first and given back if it was right: a flood is refused
    /// before anything is looked up for it.
    pub(crate) async fn token(&self, address: Option<IpAddr>) -> Result<TokenAttempt, Failure> {
        self.token_from(address, false).await
    }

    /// The same of a name or a key that this process has not met: they are made up without end, and as many at once, so it is
    /// counted first from wherever it comes.
    pub(crate) async fn stranger(&self, address: Option<IpAddr>) -> Result<TokenAttempt, Failure> {
        self.token_from(address, true).await
    }

    async fn token_from(
        &self,
        address: Option<IpAddr>,
        is_strange: bool,
    ) -> Result<TokenAttempt, Failure> {
        // Calls within the process come from nowhere.
        let Some((limits, address)) = self.0.as_ref().zip(address) else {
            return Ok(TokenAttempt {
                of: None,
                counted: None,
            });
        };
        let address = network(address);
        let counted = match is_strange || limits.suspects.has(address) {
            true => Some(limits.count_token(address).await?),
            false => None,
        };
        Ok(TokenAttempt {
            of: Some((Arc::clone(limits), address)),
            counted,
        })
    }

    /// After something was wrong that was looked at without asking whether it may be.
    pub(crate) async fn wrong_from(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        let Some((limits, address)) = self.0.as_ref().zip(address) else {
            return Ok(());
        };
        limits.count_wrong(network(address)).await
    }

    /// After something was wrong that a client has brought: counted for the client that it said it was, too. What is right is
    /// never asked about here, so that nobody shuts a client out who knows its id: 256 random bits are not guessed, and
    /// whoever tries is told to stop.
    pub(crate) async fn wrong_token(&self, client: &str) -> Result<(), Failure> {
        let Some(limits) = &self.0 else {
            return Ok(());
        };
        let mut attempt = Attempt::default();
        let key = limits.name(client);
        let taken = attempt.take(&limits.token_clients, key, Kind::Once).await;
        let answered = limits.answered("token_client", taken, attempt);
        answered.await.map(drop)
    }
}

impl Limits {
    async fn count_token(&self, address: IpAddr) -> Result<Attempt, Failure> {
        let mut attempt = Attempt::default();
        let key = address.to_string();
        let taken = attempt.take(&self.tokens, key, Kind::Once).await;
        self.answered("token", taken, attempt).await
    }

    async fn count_wrong(&self, address: IpAddr) -> Result<(), Failure> {
        self.suspects.note(address);
        self.count_token(address).await.map(drop)
    }
}

impl TokenAttempt {
    /// It costs nothing.
    pub(crate) async fn was_right(mut self) {
        let of = self.of.take();
        match self.counted.take() {
            Some(counted) => counted.costs_nothing().await,
            None => {
                if let Some((limits, _)) = of {
                    limits.metrics.let_in("token");
                }
            }
        }
    }

    /// It is counted, unless it was before.
    ///
    /// # Errors
    /// Too much was wrong that came from that address: whoever brought it is told that and no more.
    pub(crate) async fn was_wrong(mut self) -> Result<(), Failure> {
        let Some((limits, address)) = self.of.take() else {
            return Ok(());
        };
        match self.counted.take() {
            Some(counted) => {
                limits.suspects.note(address);
                drop(counted);
                Ok(())
            }
            None => limits.count_wrong(address).await,
        }
    }

    /// What was looked for: what is not there was wrong.
    pub(crate) async fn found<T>(
        self,
        found: Result<Option<T>, Failure>,
    ) -> Result<Option<T>, Failure> {
        if matches!(found, Ok(None)) {
            self.was_wrong().await?;
        } else {
            self.was_right().await;
        }
        found
    }

    /// What came of it: what the rules refuse was wrong.
    pub(crate) async fn settled<T>(self, done: Result<T, Failure>) -> Result<T, Failure> {
        if matches!(done, Err(Failure::Refused(_))) {
            self.was_wrong().await?;
        } else {
            self.was_right().await;
        }
        done
    }
}

/// Whoever goes away before the answer shall not try on uncounted: from now on its address is counted first.
impl Drop for TokenAttempt {
    fn drop(&mut self) {
        if let Some((limits, address)) = self.of.take() {
            limits.suspects.note(address);
        }
    }
}

#[cfg(test)]
mod tests;
