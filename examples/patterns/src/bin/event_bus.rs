//! Event bus: who announces does not know who listens, and each listener stands on its own.
//!
//! The usual defect: `publish` fails and its error is ignored, or one subscriber's failure takes the
//! event from the others. Here nobody calls publish: the broker reads the log, each subscriber has its
//! own progress and retries, and one that comes a year later starts with the first event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Announcement, Append, EventLog, Expected, MemoryLog, Metadata, NewEvent, Relay, StreamId,
};
use stanchion::messaging::{
    Consumer, Contract, HandlerError, MemoryBroker, MemoryConsumerStore, Received,
};
use stanchion::runtime::task;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Longer than any of this takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was heard and not read yet; a subscriber waits while there is more.
const HEARD_MAX: usize = 16;

#[derive(Serialize, Deserialize)]
struct UserRegistered {
    user: String,
}

impl Contract for UserRegistered {
    const NAME: &'static str = "identity.user_registered.v1";

    fn key(&self) -> String {
        self.user.clone()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum UserEvent {
    Registered,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let broker = Arc::new(MemoryBroker::new());
    broker.register(Arc::new(relay(Arc::clone(&log))));
    let (heard, mut hears) = mpsc::channel(HEARD_MAX);
    let stop = CancellationToken::new();
    let subscribe = |name, failures| {
        let subscriber = subscriber(name, failures, &broker, heard.clone());
        task::spawn(name, subscriber.run(stop.clone()))
    };

    let points = subscribe("points", 0);
    let mailer = subscribe("mailer", 2);
    register(&*log, "ada").await?;
    register(&*log, "bob").await?;
    let both = next_sorted(4, &mut hears).await?;
    println!("{}", both.join("\n"));

    let audit = subscribe("audit", 0);
    let late = next_sorted(2, &mut hears).await?;
    println!("and who came later:\n{}", late.join("\n"));
    stop.cancel();
    tokio::try_join!(points, mailer, audit)?;

    assert_eq!(
        both,
        ["mailer: ada", "mailer: bob", "points: ada", "points: bob"]
    );
    assert_eq!(late, ["audit: ada", "audit: bob"]);
    Ok(())
}

/// A subscriber that fails so many times before it works.
fn subscriber(
    name: &'static str,
    failures: u32,
    broker: &Arc<MemoryBroker>,
    heard: mpsc::Sender<String>,
) -> Consumer {
    let attempts = Arc::new(AtomicU32::new(0));
    let store = Arc::new(MemoryConsumerStore::default());
    let consumer = Consumer::new(name, store, broker.clone());
    consumer.on(move |registered: UserRegistered, _: Received| {
        let fails = attempts.fetch_add(1, Ordering::Relaxed) < failures;
        let heard = heard.clone();
        async move {
            if fails {
                return Err(HandlerError::Failed("the mail server is out".into()));
            }
            let sent = heard.send(format!("{name}: {}", registered.user)).await;
            sent.map_err(|error| HandlerError::Later(error.to_string()))
        }
    })
}

async fn register(log: &dyn EventLog, user: &str) -> anyhow::Result<()> {
    log.append(Append {
        stream: StreamId::new("user", user),
        expected: Expected::NoStream,
        events: vec![NewEvent::of(&UserEvent::Registered)?],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    })
    .await?;
    Ok(())
}

fn relay(log: Arc<dyn EventLog>) -> Relay {
    Relay::new("identity", log, |recorded| {
        let UserEvent::Registered = recorded.decode()?;
        let user = recorded.stream.id().to_owned();
        Ok(vec![Announcement::of(&UserRegistered { user })])
    })
}

async fn next_sorted(
    count: usize,
    hears: &mut mpsc::Receiver<String>,
) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.extend(tokio::time::timeout(PATIENCE, hears.recv()).await?);
    }
    lines.sort();
    Ok(lines)
}
