//! Attempts to log in.

use stanchion::server::network;

use super::attempt::{Attempt, Kind};
use super::device::Known;
use super::{ALL, Account, Attempts, Limits};
use crate::application::Failure;
use crate::application::ports::Credentials;
use crate::domain::Client;

/// An attempt that is counted as far as it can be before it is known whose name it is. Dropped, it has failed.
#[must_use]
pub(crate) struct LoginAttempt<'a> {
    attempt: Attempt,
    /// Of a device that shows that it is known under this name: whether to the account that has it now is still to be seen.
    shown: Option<Shown<'a>>,
}

struct Shown<'a> {
    limits: &'a Limits,
    known: Known,
    login: &'a str,
    client: &'a Client,
}

impl Attempts {
    /// Before anything is looked up for it: whether it may be tried under that name by that client. Whoever is refused here has
    /// cost no question to the store, and learns nothing of whose name it is.
    pub(crate) async fn log_in<'a>(
        &'a self,
        login: &'a str,
        client: &'a Client,
    ) -> Result<LoginAttempt<'a>, Failure> {
        let mut attempt = Attempt::default();
        let Some(limits) = self.0.as_deref() else {
            return Ok(LoginAttempt {
                attempt,
                shown: None,
            });
        };
        let known = client.proof().and_then(|proof| limits.known.read(proof));
        // Under other names it is a stranger, and counted as one before anything is looked up for it.
        let name = limits.known.name(login);
        let Some(known) = known.filter(|known| known.is_of(&name)) else {
            let taken = limits.try_unknown(&mut attempt, login, client).await;
            let attempt = limits.answered("login", taken, attempt).await?;
            return Ok(LoginAttempt {
                attempt,
                shown: None,
            });
        };
        // For good: under a name that another account has by now it asks no more often than under its own.
        let device = known.device.to_string();
        let taken = attempt.take(&limits.devices, device, Kind::ForGood).await;
        if taken.is_err() {
            attempt = limits.answered("login", taken, attempt).await?;
        }
        let shown = Shown {
            limits,
            known,
            login,
            client,
        };
        Ok(LoginAttempt {
            attempt,
            shown: Some(shown),
        })
    }

    /// What a device is known by from now on, after a login to that account; `None` where nothing is limited, or it is known
    /// by what it has shown.
    pub(crate) fn introduce(&self, account: &Account<'_>, client: &Client) -> Option<String> {
        let limits = self.0.as_ref()?;
        let shown = client.proof().and_then(|proof| limits.known.read(proof));
        limits.known.introduce(account, shown)
    }
}

impl LoginAttempt<'_> {
    /// Before a password is hashed, `found` being whose name it is: what could not be counted yet is now. A device that is
    /// known to another account, or from before the password was changed, is as unknown as any.
    pub(crate) async fn of(self, found: Option<&Credentials>) -> Result<Attempt, Failure> {
        let Self { mut attempt, shown } = self;
        let Some(Shown {
            limits,
            known,
            login,
            client,
        }) = shown
        else {
            return Ok(attempt);
        };
        let has_logged_in = |to| limits.known.has_logged_in(&known, to);
        let taken = if found.is_some_and(has_logged_in) {
            limits.try_known(&mut attempt, &known).await
        } else {
            limits.try_unknown(&mut attempt, login, client).await
        };
        limits.answered("login", taken, attempt).await
    }

    /// Whether the device shows that somebody has logged in with it under this name before.
    pub(crate) fn is_known(&self) -> bool {
        self.shown.is_some()
    }

    /// Whose name it is could not be looked up: that says nothing of who tried.
    pub(crate) async fn not_looked_up(self) {
        self.attempt.not_checked().await;
    }
}

impl Limits {
    /// By the device, not by its account: who has one of the account's devices shuts no other of them out.
    async fn try_known(&self, attempt: &mut Attempt, known: &Known) -> Result<(), Failure> {
        let (device, streaks) = (known.device.to_string(), &self.device_streaks);
        attempt.take(streaks, device, Kind::Streak).await
    }

    async fn try_unknown(
        &self,
        attempt: &mut Attempt,
        login: &str,
        client: &Client,
    ) -> Result<(), Failure> {
        // The address first: what it may not do uses up nobody's name.
        let address = client.address().and_then(|text| text.parse().ok());
        if let Some(address) = address {
            let key = network(address).to_string();
            attempt.take(&self.addresses, key, Kind::ForGood).await?;
        }
        let name = self.name(login);
        attempt.take(&self.names, name.clone(), Kind::Once).await?;
        attempt.take(&self.name_streaks, name, Kind::Streak).await?;
        attempt.take(&self.all, ALL.to_owned(), Kind::Once).await
    }
}
