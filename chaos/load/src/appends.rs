//! Appends to the bare log: streams of one's own, streams that everybody fights for, keys that let one through.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng;
use stanchion::eventsourcing::AppendError;

use crate::ask::{Desk, append_of, key, refused};
use crate::journal::{Intent, Outcome};

/// Streams that all writers of all processes append to.
const HOT: u32 = 8;

/// So many events has an own stream before the next one begins.
const OWN_EVENTS_MAX: i64 = 200;

/// Keys that are open to everybody at a time; a window lasts so many milliseconds.
const KEYS: i64 = 3;
const KEY_WINDOW_MS: i64 = 150;

/// What this process believes about the hot streams' versions.
pub(crate) type Hot = Mutex<HashMap<String, i64>>;

enum Choice {
    Own,
    Hot,
    Keyed,
}

pub(crate) async fn write(mut desk: Desk, name: String, hot: Arc<Hot>) -> anyhow::Result<()> {
    let (mut number, mut last) = (0, -1);
    while desk.goes_on().await {
        let choice = match desk.dice.random_range(0..10) {
            0..5 => Choice::Own,
            5..8 => Choice::Hot,
            _ => Choice::Keyed,
        };
        match choice {
            Choice::Own => {
                let stream = format!("own/{name}-{number}");
                let intent = Intent::append(stream, Some(last), size(&mut desk));
                let outcome = ask(&mut desk, &intent).await;
                match outcome {
                    Outcome::Ack {
                        version: Some(at), ..
                    } if at < OWN_EVENTS_MAX => last = at,
                    // Full, or in doubt: the audit judges it, we begin another.
                    _ => (number, last) = (number + 1, -1),
                }
            }
            Choice::Hot => fight(&mut desk, &hot).await,
            Choice::Keyed => claim(&mut desk).await,
        }
    }
    Ok(())
}

/// Mostly a few events, sometimes many.
fn size(desk: &mut Desk) -> usize {
    match desk.dice.random_range(0..20) {
        0 => desk.dice.random_range(20..=60),
        1..6 => desk.dice.random_range(2..=5),
        _ => 1,
    }
}

async fn fight(desk: &mut Desk, hot: &Hot) {
    let stream = format!("hot/{}", desk.dice.random_range(0..HOT));
    let known = hot.lock().get(&stream).copied().unwrap_or(-1);
    let expected = desk.dice.random_bool(0.6).then_some(known);
    let intent = Intent::append(stream.clone(), expected, size(desk));
    let append = append_of(&intent);
    let log = desk.store.log.clone();
    let outcome = desk.settle(&intent, async || match log.append(append.clone()).await {
        Ok(appended) => Outcome::Ack {
            position: appended.position.0,
            version: appended.version.map(|version| version.0),
        },
        Err(error) => {
            if let AppendError::Conflict { actual } = &error {
                let actual = actual.map_or(-1, |version| version.0);
                hot.lock().insert(stream.clone(), actual);
            }
            refused(&error)
        }
    });
    if let Outcome::Ack {
        version: Some(at), ..
    } = outcome.await
    {
        hot.lock().insert(stream, at);
    }
}

/// Several processes use the same key within a moment; some have nothing to record but the key.
async fn claim(desk: &mut Desk) {
    let window = stanchion::runtime::clock::now().as_millisecond() / KEY_WINDOW_MS;
    let number = window * KEYS + desk.dice.random_range(0..KEYS);
    let count = usize::from(desk.dice.random_bool(0.9)) * size(desk);
    let mut intent = Intent::append(format!("keyed/{}", number % 16), None, count);
    intent.key = Some(key("log", &number.to_string()));
    ask(desk, &intent).await;
}

async fn ask(desk: &mut Desk, intent: &Intent) -> Outcome {
    let append = append_of(intent);
    let log = desk.store.log.clone();
    desk.settle(intent, async || attempt(&*log, &append).await)
        .await
}

/// One try.
pub(crate) async fn attempt(
    log: &dyn stanchion::eventsourcing::EventLog,
    append: &stanchion::eventsourcing::Append,
) -> Outcome {
    match log.append(append.clone()).await {
        Ok(appended) => Outcome::Ack {
            position: appended.position.0,
            version: appended.version.map(|version| version.0),
        },
        Err(error) => refused(&error),
    }
}
