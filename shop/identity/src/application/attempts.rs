//! How often somebody may try to get in. What is counted is what fails; it is counted before a password is hashed, and given
//! back when it succeeds, so that attempts at once cannot slip by. Who is refused costs no question to the store, but for a
//! device that is known to the account from before its password was changed.
//!
//! | who | is counted by |
//! |---|---|
//! | a device that has logged in to the account before, under its names and by its present password | itself, and by nothing that others can use up |
//! | anybody else | its address (of IPv6 its network of 64 bits), the name that is tried, and all of them together |
//! | who is logged in and chooses another password | the account |
//! | who brings a token, a code or a client's secret | its address, before anything is looked at once something was wrong; and what is wrong, by the client that it is said to be of |
//!
//! Names are counted whether there is such an account or not: who is limited learns nothing of it. An account has two
//! names (address and username), counted apart, since one count of both would tell that they belong together.
//! Consecutive failures are bounded as well (NIST SP 800-63B, 5.2.2: no more than 100 an account): a quarter for each
//! name, a quarter where the password is changed, and a quarter for each known device by itself, so that whoever has one of them
//! shuts no other out. A device gets known by a login or a new password. Beyond it only what is left of the others, a success, or time helps.
//!
//! With a shared counter all processes count together, and what becomes of a limit without Redis is its `fallback`: each
//! process by itself, with its part. Without one each counts its part anyway, and a restart forgets.

mod attempt;
mod device;
mod login;
mod settings;
mod streaks;
mod token;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use shop_kernel::UserId;
use stanchion::auth::secret::Signer;
use stanchion::resilience::rate::{KeyLimit, KeyedRate, RateSettings};
use stanchion::server::network;
use stanchion::telemetry::Metrics;

pub(crate) use device::{Account, KNOWN_FOR};
pub use settings::AttemptSettings;

use super::Failure;
use attempt::{Attempt, Kind};
use device::Devices;
use settings::rate;
use streaks::Streaks;
use token::Suspects;

/// The limit of tokens, codes and secrets that are wrong.
const TOKEN: &str = "token";
/// The key of what all do together.
const ALL: &str = "all";
/// A shared counter forgets one failure of a series after this: it has room for 104 days.
const STREAK_EVERY: Duration = Duration::from_secs(2 * 24 * 3_600);

/// Makes the limit of that name that all processes share, with its rate and burst; `None`: each counts for itself.
pub type Shared<'a> = &'a dyn Fn(&str, &RateSettings) -> Option<Arc<dyn KeyLimit>>;

/// Who counts attempts, and what for.
pub struct Counting<'a> {
    /// Signs what a device is known by; the same on every replica.
    pub signer: Arc<Signer>,
    /// Processes that share the limits, each with its part while it counts for itself.
    pub replicas: u32,
    /// Where the limits are that all share.
    pub shared: Shared<'a>,
    /// Where it is measured.
    pub metrics: &'a Metrics,
}

/// How often somebody may try; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Option<Arc<Limits>>);

#[derive(Debug)]
struct Limits {
    names: Arc<dyn KeyLimit>,
    devices: Arc<dyn KeyLimit>,
    addresses: Arc<dyn KeyLimit>,
    all: Arc<dyn KeyLimit>,
    name_streaks: Arc<dyn KeyLimit>,
    device_streaks: Arc<dyn KeyLimit>,
    change_streaks: Arc<dyn KeyLimit>,
    registrations: Arc<dyn KeyLimit>,
    tokens: Arc<dyn KeyLimit>,
    token_clients: Arc<dyn KeyLimit>,
    suspects: Suspects,
    letters: Arc<dyn KeyLimit>,
    letter_names: Arc<dyn KeyLimit>,
    known: Devices,
    metrics: settings::AttemptMetrics,
}

impl Attempts {
    /// By these settings; without limits where they are switched off.
    #[must_use]
    pub fn new(settings: &AttemptSettings, counting: &Counting<'_>) -> Self {
        if !settings.on {
            return Self(None);
        }
        let keys_max = settings.keys_max;
        let limit = |name: &str, burst, every| -> Arc<dyn KeyLimit> {
            let rate = rate(burst, every, keys_max);
            (counting.shared)(name, &rate).unwrap_or_else(|| {
                Arc::new(KeyedRate::<String>::new(&rate.part_of(counting.replicas)))
            })
        };
        let streak = |name: &str, failures_max: u32| -> Arc<dyn KeyLimit> {
            let rate = rate(failures_max, STREAK_EVERY, keys_max);
            (counting.shared)(name, &rate).unwrap_or_else(|| {
                Arc::new(Streaks::new(
                    rate.part_of(counting.replicas).burst,
                    keys_max,
                ))
            })
        };
        let of = settings;
        let limits = Arc::new(Limits {
            names: limit("login-name", of.name_burst, of.name_every),
            devices: limit("login-device", of.device_burst, of.device_every),
            addresses: limit("login-address", of.address_burst, of.address_every),
            all: limit("login", of.all_burst, of.all_every),
            name_streaks: streak("login-name-streak", of.failures_max / 4),
            device_streaks: streak("login-device-streak", of.failures_max / 4),
            change_streaks: streak("change-streak", of.failures_max / 4),
            registrations: limit("register", of.register_burst, of.register_every),
            tokens: limit(TOKEN, of.token_burst, of.token_every),
            token_clients: limit("token-client", of.token_client_burst, of.token_client_every),
            suspects: Suspects::new(keys_max, of.token_every.saturating_mul(of.token_burst)),
            letters: limit("reset", of.reset_burst, of.reset_every),
            letter_names: limit("reset-name", of.reset_name_burst, of.reset_name_every),
            known: Devices::new(Arc::clone(&counting.signer)),
            metrics: settings::AttemptMetrics::new(counting.metrics, keys_max),
        });
        settings::keys_when_read(counting.metrics, &limits);
        Self(Some(limits))
    }

    /// For a process where tokens are brought and nobody logs in: of all the limits it shares the one that it asks.
    #[must_use]
    pub fn of_tokens(settings: &AttemptSettings, counting: &Counting<'_>) -> Self {
        let shared = |name: &str, rate: &RateSettings| match name {
            TOKEN => (counting.shared)(name, rate),
            _ => None,
        };
        let counting = Counting {
            signer: Arc::clone(&counting.signer),
            replicas: counting.replicas,
            shared: &shared,
            metrics: counting.metrics,
        };
        Self::new(settings, &counting)
    }

    /// Before the password of somebody who is logged in is looked at: whoever has stolen a session must not learn it. Counted
    /// by the account like a device of its own, so that no login is refused for it.
    pub(crate) async fn change_password(&self, user: UserId) -> Result<Attempt, Failure> {
        let Some(limits) = &self.0 else {
            return Ok(Attempt::default());
        };
        let mut attempt = Attempt::default();
        let taken = limits.try_change(&mut attempt, user).await;
        limits.answered("change_password", taken, attempt).await
    }

    /// Before a user is registered. Every one counts: there is no failure that would be worse.
    pub(crate) async fn register(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        // Calls within the process come from nowhere.
        let Some((limits, address)) = self.0.as_ref().zip(address) else {
            return Ok(());
        };
        let mut attempt = Attempt::default();
        let key = network(address).to_string();
        let taken = attempt.take(&limits.registrations, key, Kind::Once).await;
        let answered = limits.answered("register", taken, attempt);
        answered.await.map(drop)
    }

    /// Before a letter to set a password anew is asked for: by address, and by the name it is for, whether somebody has it
    /// or not.
    pub(crate) async fn reset(&self, address: Option<IpAddr>, name: &str) -> Result<(), Failure> {
        self.letter("reset", address, name).await
    }

    /// The same of a letter by which a user can prove an address; others' resets do not use it up.
    pub(crate) async fn verification(
        &self,
        address: Option<IpAddr>,
        user: UserId,
    ) -> Result<(), Failure> {
        self.letter("verification", address, &user.to_string())
            .await
    }

    async fn letter(
        &self,
        kind: &'static str,
        address: Option<IpAddr>,
        name: &str,
    ) -> Result<(), Failure> {
        let Some(limits) = &self.0 else {
            return Ok(());
        };
        let mut attempt = Attempt::default();
        let taken = limits.ask_letter(&mut attempt, address, name).await;
        limits.answered(kind, taken, attempt).await.map(drop)
    }
}

impl Limits {
    async fn try_change(&self, attempt: &mut Attempt, user: UserId) -> Result<(), Failure> {
        let user = user.to_string();
        attempt
            .take(&self.devices, user.clone(), Kind::Once)
            .await?;
        attempt.take(&self.change_streaks, user, Kind::Streak).await
    }

    async fn ask_letter(
        &self,
        attempt: &mut Attempt,
        address: Option<IpAddr>,
        name: &str,
    ) -> Result<(), Failure> {
        // The address first, and for good: what it may not do uses up nobody's name.
        if let Some(address) = address {
            let key = network(address).to_string();
            attempt.take(&self.letters, key, Kind::ForGood).await?;
        }
        let name = self.name(name);
        attempt.take(&self.letter_names, name, Kind::Once).await
    }

    /// Of all of them together.
    fn keys(&self) -> usize {
        let keys = self.all_limits().into_iter().map(|limit| limit.keys());
        keys.sum::<usize>() + self.suspects.count()
    }

    /// All that remember keys.
    fn all_limits(&self) -> [&Arc<dyn KeyLimit>; settings::LIMITS] {
        [
            &self.names,
            &self.devices,
            &self.addresses,
            &self.all,
            &self.name_streaks,
            &self.device_streaks,
            &self.change_streaks,
            &self.registrations,
            &self.tokens,
            &self.token_clients,
            &self.letters,
            &self.letter_names,
        ]
    }

    /// Spellings of one name are one.
    fn name(&self, login: &str) -> String {
        let tag = self.known.name(login);
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    async fn answered(
        &self,
        kind: &'static str,
        taken: Result<(), Failure>,
        attempt: Attempt,
    ) -> Result<Attempt, Failure> {
        self.metrics.counted(kind, taken.is_ok());
        match taken {
            Ok(()) => Ok(attempt),
            Err(refused) => {
                attempt.not_made().await;
                Err(refused)
            }
        }
    }
}

/// With them goes what they remembered: nobody would set the gauge any more.
impl Drop for Limits {
    fn drop(&mut self) {
        self.metrics.remembered(0);
    }
}

#[cfg(test)]
mod tests;
