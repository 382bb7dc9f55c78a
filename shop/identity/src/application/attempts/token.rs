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
        // Calls within the process come from nowhere.
        let Some((limits, address)) = self.0.as_ref().zip(address) else {
            return Ok(TokenAttempt {
                of: None,
                counted: None,
            });
        };
        let address = network(address);
        let counted = match limits.suspects.has(address) {
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;
    use secrecy::SecretString;
    use stanchion::auth::secret::Signer;
    use stanchion::resilience::Refusal;
    use stanchion::resilience::rate::{KeyLimit, KeyedRate, RateSettings};
    use stanchion::telemetry::Metrics;

    use super::*;
    use crate::application::{AttemptSettings, Counting};

    /// A counter that all share, and how often it was asked.
    #[derive(Debug, Clone)]
    struct Asked {
        counter: KeyedRate<String>,
        times: Arc<AtomicUsize>,
    }

    impl KeyLimit for Asked {
        fn take<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, Result<(), Refusal>> {
            self.times.fetch_add(1, Ordering::Relaxed);
            self.counter.take(key, cost)
        }

        fn give_back<'a>(&'a self, key: &'a str, cost: u32) -> BoxFuture<'a, ()> {
            self.times.fetch_add(1, Ordering::Relaxed);
            KeyLimit::give_back(&self.counter, key, cost)
        }

        fn quota(&self) -> RateSettings {
            self.counter.settings()
        }

        fn keys(&self) -> usize {
            self.counter.keys()
        }
    }

    const BURST: u32 = 5;

    fn settings() -> AttemptSettings {
        AttemptSettings {
            token_burst: BURST,
            token_every: Duration::from_secs(10),
            keys_max: 100,
            ..AttemptSettings::default()
        }
    }

    /// Two processes that count together, and how often they asked the counter.
    fn two_processes() -> ([Attempts; 2], Arc<AtomicUsize>) {
        let times = Arc::new(AtomicUsize::new(0));
        let rate = super::super::rate(BURST, settings().token_every, settings().keys_max);
        let asked = Asked {
            counter: KeyedRate::new(&rate),
            times: Arc::clone(&times),
        };
        let secret = SecretString::from("0123456789abcdef0123456789abcdef");
        let counting = Counting {
            signer: Arc::new(Signer::new(&secret).unwrap()),
            replicas: 1,
            shared: &|name, _| {
                let shared = name == "token";
                shared.then(|| Arc::new(asked.clone()) as Arc<dyn KeyLimit>)
            },
            metrics: &Metrics::default(),
        };
        let process = || Attempts::new(&settings(), &counting);
        ([process(), process()], times)
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([203, 0, 113, last]))
    }

    async fn wrong(attempts: &Attempts, from: Option<IpAddr>) -> Result<(), Failure> {
        attempts.token(from).await?.was_wrong().await
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_right_asks_no_counter_as_long_as_nothing_was_wrong() {
        let ([one, _], times) = two_processes();
        for _ in 0..1_000 {
            one.token(address(1)).await.unwrap().was_right().await;
        }
        assert_eq!(times.load(Ordering::Relaxed), 0);
        wrong(&one, address(1)).await.unwrap();
        assert_eq!(times.load(Ordering::Relaxed), 1);
        // Counted before and given back; not so for others.
        one.token(address(1)).await.unwrap().was_right().await;
        one.token(address(2)).await.unwrap().was_right().await;
        assert_eq!(times.load(Ordering::Relaxed), 3);
        // The limit has forgotten it by now.
        tokio::time::advance(Duration::from_secs(50)).await;
        one.token(address(1)).await.unwrap().was_right().await;
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_burst_nothing_from_there_is_looked_at_any_more() {
        let ([one, other], _) = two_processes();
        for nth in 0..BURST {
            let process = [&one, &other][usize::from(nth % 2 == 1)];
            assert!(wrong(process, address(1)).await.is_ok(), "{nth}");
        }
        for process in [&one, &other] {
            assert!(process.token(address(1)).await.is_err());
            assert!(process.token(address(2)).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_at_once_are_all_counted_and_told_to_stop() {
        let ([one, other], _) = two_processes();
        let mut under_way = Vec::new();
        for _ in 0..20 {
            under_way.push(one.token(address(1)).await.unwrap());
        }
        let mut told = 0;
        for attempt in under_way {
            told += usize::from(attempt.was_wrong().await.is_ok());
        }
        assert_eq!(told, BURST as usize, "no more than one after the other");
        assert!(one.token(address(1)).await.is_err());
        // Where nothing was wrong yet one is looked at, and not answered.
        assert!(wrong(&other, address(1)).await.is_err());
        assert!(other.token(address(1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_before_the_answer_is_counted_from_then_on() {
        let ([one, _], times) = two_processes();
        drop(one.token(address(1)).await.unwrap());
        assert_eq!(times.load(Ordering::Relaxed), 0);
        for _ in 0..BURST {
            drop(one.token(address(1)).await.unwrap());
        }
        assert!(one.token(address(1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_are_remembered_than_the_bound() {
        let ([one, _], _) = two_processes();
        for last in 0..=255 {
            let _ = wrong(&one, address(last)).await;
            let limits = one.0.as_ref().unwrap();
            assert!(limits.suspects.count() <= settings().keys_max);
        }
    }
}
