//! The way to Redis: one connection that comes back by itself, a breaker, and a budget of time.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Script};
use stanchion_config::ExposeSecret;
use stanchion_resilience::breaker::Breaker;
use stanchion_runtime::task::{self, Task};

use super::script::{self, Decision};
use super::{SharedRateError, SharedRateSettings};
use crate::budget::{Budget, Out};

/// How long a connection may take to be made; calls do not wait for it longer than their budget.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// Attempts to come back after a loss, at most [`RECONNECT_WAIT_MAX`] apart; the next call begins anew.
const RECONNECTS: usize = 8;
const RECONNECT_WAIT_MAX: Duration = Duration::from_millis(500);
/// An answer that comes later than this is given up by the connection too.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Calls on the one connection at a time; beyond that Redis is as good as out.
const CALLS_MAX: usize = 10_000;

pub(super) struct Connection {
    manager: ConnectionManager,
    script: Script,
    budget: Budget,
    first: Task<()>,
}

impl Connection {
    /// Begins to connect and does not wait for it: a service starts without Redis, too.
    pub(super) fn open(
        breaker: Breaker,
        settings: &SharedRateSettings,
    ) -> Result<Self, SharedRateError> {
        let url = settings.url.as_ref().ok_or(SharedRateError::NoUrl)?;
        let client = Client::open(url.expose_secret()).map_err(SharedRateError::of)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(ANSWER_MAX))
            .set_number_of_retries(RECONNECTS)
            .set_max_delay(RECONNECT_WAIT_MAX)
            .set_concurrency_limit(CALLS_MAX);
        let manager =
            ConnectionManager::new_lazy_with_config(client, config).map_err(SharedRateError::of)?;
        let mut connecting = manager.clone();
        let first = task::spawn("redis-connect", async move {
            // It connects with its first command; should that fail, the first call tries again.
            let ping = redis::cmd("PING");
            let _ = ping.query_async::<()>(&mut connecting).await;
        });
        Ok(Connection {
            manager,
            script: script::script(),
            budget: Budget::new(breaker, settings.budget),
            first,
        })
    }

    pub(super) fn breaker(&self) -> &Breaker {
        self.budget.breaker()
    }

    /// Asks Redis, within the budget. An answer that does not come may have been counted all the same.
    pub(super) async fn decide(&self, key: &str, arguments: [i64; 3]) -> Result<Decision, Out> {
        let mut manager = self.manager.clone();
        let mut call = self.script.key(key);
        for argument in arguments {
            call.arg(argument);
        }
        self.budget.spend(call.invoke_async(&mut manager)).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.first.abort();
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
