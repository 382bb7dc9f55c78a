//! The one connection: calls, and what Redis tells by itself.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisResult, Value,
};
use stanchion_cache::{Change, Out};
use stanchion_config::ExposeSecret;
use stanchion_resilience::Dice;
use stanchion_resilience::breaker::Breaker;
use stanchion_runtime::task::{self, Task};
use tokio::time::{sleep, timeout};

use super::script::Call;
use super::{CacheTierError, CacheTierSettings};
use crate::budget::Budget;

/// How long a connection may take to be made; calls do not wait for it.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// An answer that comes later than this is given up by the connection too.
const ANSWER_MAX: Duration = Duration::from_secs(1);
/// Calls on the one connection at a time; beyond that Redis is as good as out.
const CALLS_MAX: usize = 10_000;
/// How often Redis is asked whether it is there, and how long it may take: who hears nothing for so long is blind.
const PING_EVERY: Duration = Duration::from_millis(500);
const PING_MAX: Duration = Duration::from_millis(500);
/// Between attempts to connect, give or take half.
const CONNECT_AGAIN: Duration = Duration::from_millis(200);

type Told = Box<dyn Fn(Change<'_>) + Send + Sync>;

pub(super) struct Link {
    budget: Budget,
    listening: Arc<Listening>,
    keeping: Task<()>,
}

/// What the connection is told, and who hears of it.
struct Listening {
    /// `PREFIX:` of all keys.
    prefix: String,
    line: RwLock<Option<MultiplexedConnection>>,
    /// By cache.
    told: RwLock<HashMap<String, Told>>,
}

impl Link {
    /// Begins to connect and does not wait for it: a service starts without Redis, too.
    pub(super) fn open(
        settings: &CacheTierSettings,
        breaker: Breaker,
    ) -> Result<Arc<Self>, CacheTierError> {
        let url = settings.url.as_ref().ok_or(CacheTierError::NoUrl)?;
        let client = client(url.expose_secret()).map_err(CacheTierError::of)?;
        let listening = Arc::new(Listening {
            prefix: format!("{}:", settings.prefix),
            line: RwLock::default(),
            told: RwLock::default(),
        });
        let keeping = keep(client, Arc::downgrade(&listening));
        Ok(Arc::new(Link {
            budget: Budget::new(breaker, settings.budget),
            listening,
            keeping: task::spawn("redis-cache", keeping),
        }))
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Whether there is a connection that has answered lately.
    pub(super) fn is_there(&self) -> bool {
        self.listening.line.read().is_some()
    }

    /// A key as Redis knows it.
    pub(super) fn full(&self, cache: &str, key: &str) -> String {
        format!("{}{cache}:{key}", self.listening.prefix)
    }

    pub(super) async fn ask<T>(&self, call: &Call<'_, T>) -> Result<T, Out> {
        let Some(mut line) = self.listening.line.read().clone() else {
            return Err(Out);
        };
        let answered = async {
            let answer: Value = call.invocation.invoke_async(&mut line).await?;
            (call.read)(answer)
        };
        self.budget.spend(answered).await.map_err(|_| Out)
    }

    pub(super) fn watch(&self, cache: &str, told: Told) {
        // Under the lock: it misses no change of state.
        let mut all = self.listening.told.write();
        if self.listening.line.read().is_some() {
            told(Change::Seeing);
        }
        all.insert(cache.to_owned(), told);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

impl Listening {
    /// The connection is there, or not; all hear of it.
    fn set(&self, line: Option<MultiplexedConnection>) {
        let told = self.told.write();
        let change = if line.is_some() {
            Change::Seeing
        } else {
            Change::Blind
        };
        *self.line.write() = line;
        for told in told.values() {
            told(change);
        }
    }

    fn hears(&self, push: &PushInfo) {
        if push.kind != PushKind::Invalidate {
            return;
        }
        let told = self.told.read();
        let Some(Value::Array(keys)) = push.data.first() else {
            // Everything was flushed.
            for told in told.values() {
                told(Change::Blind);
                told(Change::Seeing);
            }
            return;
        };
        for key in keys {
            let Ok(full) = String::from_redis_value_ref(key) else {
                continue;
            };
            let known = full.strip_prefix(&self.prefix);
            let Some((cache, key)) = known.and_then(|known| known.split_once(':')) else {
                continue;
            };
            if let Some(told) = told.get(cache) {
                told(Change::Key(key));
            }
        }
    }
}

/// Speaks RESP3, without which Redis tells nothing by itself.
fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let redis = info.redis_settings().clone();
    let redis = redis.set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(redis))
}

/// Connects again and again, as long as anybody listens.
async fn keep(client: Client, listening: Weak<Listening>) {
    let dice = Dice::system();
    loop {
        match connect(&client, &listening).await {
            Ok(line) => {
                let Some(listening) = listening.upgrade() else {
                    return;
                };
                listening.set(Some(line.clone()));
                tracing::info!("the cache's remote tier is there");
                while_it_answers(line).await;
                listening.set(None);
                tracing::warn!(
                    "the cache's remote tier is out; entries stay for blind_ttl at most"
                );
            }
            Err(error) => {
                tracing::debug!(kind = ?error.kind(), "no connection to the cache's remote tier")
            }
        }
        sleep(dice.around(CONNECT_AGAIN, 0.5)).await;
    }
}

async fn connect(
    client: &Client,
    listening: &Weak<Listening>,
) -> RedisResult<MultiplexedConnection> {
    let Some(prefix) = listening
        .upgrade()
        .map(|listening| listening.prefix.clone())
    else {
        return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
    };
    let hearing = Weak::clone(listening);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_MAX))
        .set_response_timeout(Some(ANSWER_MAX))
        .set_concurrency_limit(CALLS_MAX)
        // In the connection's own task: what Redis tells comes before the answers that it gave later.
        .set_push_sender(move |push: PushInfo| {
            let Some(listening) = hearing.upgrade() else {
                return Err(SendError);
            };
            listening.hears(&push);
            Ok(())
        });
    let mut line = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut tracking = redis::cmd("CLIENT");
    tracking
        .arg("TRACKING")
        .arg("ON")
        .arg("BCAST")
        .arg("PREFIX")
        .arg(prefix);
    tracking.query_async::<()>(&mut line).await?;
    Ok(line)
}

/// Until it does not.
async fn while_it_answers(mut line: MultiplexedConnection) {
    loop {
        sleep(PING_EVERY).await;
        let ping = redis::cmd("PING");
        let answer = timeout(PING_MAX, ping.query_async::<()>(&mut line)).await;
        if !matches!(answer, Ok(Ok(()))) {
            return;
        }
    }
}
