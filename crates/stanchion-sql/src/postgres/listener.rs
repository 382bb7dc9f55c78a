//! One connection a process and database on which all its logs are told that they grew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use stanchion_runtime::{random, task};
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;
use tracing::debug;

use super::lone::{Dial, Lone};
use super::pool::Postgres;
use crate::SqlError;

/// The longest pause between two attempts to connect; readers poll meanwhile.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The listeners of this process by the place they listen at.
static LISTENERS: LazyLock<Mutex<HashMap<[u8; 32], Weak<Listener>>>> =
    LazyLock::new(Mutex::default);

/// Gets a notification's payload; `None` when notifications may have been missed.
type Told = Arc<dyn Fn(Option<&str>) + Send + Sync>;

/// Keeps one follower told until it is dropped.
pub(crate) struct Following {
    channel: String,
    number: u64,
    listener: Arc<Listener>,
}

struct Listener {
    shared: Arc<Shared>,
    task: task::Task<()>,
}

#[derive(Default)]
struct Shared {
    followers: Mutex<Followers>,
    changed: Notify,
}

#[derive(Default)]
struct Followers {
    by_channel: HashMap<String, HashMap<u64, Told>>,
    last: u64,
}

/// Calls `told` for each notification on `channel`, over the connection that all followers of that place share.
pub(crate) fn follow(postgres: &Postgres, channel: &str, told: Told) -> Following {
    let mut listeners = LISTENERS.lock();
    listeners.retain(|_, listener| listener.strong_count() > 0);
    let running = listeners.get(&postgres.place()).and_then(Weak::upgrade);
    // Its runtime may be gone: every test has one of its own.
    let listener = running.filter(|listener| !listener.task.is_finished());
    let listener = listener.unwrap_or_else(|| {
        let listener = Arc::new(Listener::start(Arc::clone(postgres.dial())));
        listeners.insert(postgres.place(), Arc::downgrade(&listener));
        listener
    });
    let number = listener.shared.add(channel, told);
    Following {
        channel: channel.to_owned(),
        number,
        listener,
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.listener.shared.remove(&self.channel, self.number);
    }
}

impl Listener {
    fn start(dial: Arc<Dial>) -> Self {
        let shared = Arc::new(Shared::default());
        let task = task::spawn("postgres-listener", listen(dial, Arc::clone(&shared)));
        Self { shared, task }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn add(&self, channel: &str, told: Told) -> u64 {
        let mut followers = self.followers.lock();
        followers.last += 1;
        let number = followers.last;
        let channel = followers.by_channel.entry(channel.to_owned()).or_default();
        channel.insert(number, told);
        drop(followers);
        self.changed.notify_one();
        number
    }

    fn remove(&self, channel: &str, number: u64) {
        let mut followers = self.followers.lock();
        if let Some(channel) = followers.by_channel.get_mut(channel) {
            channel.remove(&number);
        }
        followers
            .by_channel
            .retain(|_, channel| !channel.is_empty());
        drop(followers);
        self.changed.notify_one();
    }

    fn channels(&self) -> HashSet<String> {
        self.followers.lock().by_channel.keys().cloned().collect()
    }

    fn tell(&self, channel: &str, payload: Option<&str>) {
        let told: Vec<Told> = {
            let followers = self.followers.lock();
            let channel = followers.by_channel.get(channel);
            channel.map_or_else(Vec::new, |channel| channel.values().cloned().collect())
        };
        told.iter().for_each(|told| told(payload));
    }
}

/// Connects again and again until its listener is dropped.
async fn listen(dial: Arc<Dial>, shared: Arc<Shared>) {
    let mut pause = Duration::from_millis(50);
    loop {
        let told = Arc::clone(&shared);
        let lone = dial.lone("listener", move |message| {
            if let AsyncMessage::Notification(hint) = message {
                told.tell(hint.channel(), Some(hint.payload()));
            }
        });
        match lone.await {
            Ok(lone) => {
                pause = Duration::from_millis(50);
                if let Err(error) = keep_listening(lone, &shared).await {
                    debug!(%error, "the listener lost its connection");
                }
            }
            Err(error) => debug!(%error, "the listener has no connection"),
        }
        tokio::time::sleep(pause / 2 + random::jitter(pause / 2)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Listens on what is followed until the connection ends.
async fn keep_listening(mut lone: Lone, shared: &Shared) -> Result<(), SqlError> {
    let mut heard = HashSet::new();
    loop {
        let wanted = shared.channels();
        for (word, channels) in [("listen", &wanted - &heard), ("unlisten", &heard - &wanted)] {
            for channel in &channels {
                let sql = format!("{word} \"{channel}\"");
                let done = lone.client.batch_execute(&sql).await;
                done.map_err(|error| super::sql_error(&error, &sql))?;
            }
        }
        for channel in &wanted - &heard {
            shared.tell(&channel, None);
        }
        heard = wanted;
        tokio::select! {
            () = lone.ended() => return Ok(()),
            () = shared.changed.notified() => {}
        }
    }
}
