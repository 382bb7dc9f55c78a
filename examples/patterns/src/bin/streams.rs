//! Events and streams: what an append promises, how its entries are read, and how a log is followed.
//!
//! The usual defects: a retry after a timeout writes everything twice; of two writers the second one
//! overwrites what the first one decided on; a reader skips what was committed late. Here the event ids
//! make a repeat harmless, the expected version refuses the second writer, and positions have no holes.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion::eventsourcing::{
    Append, AppendError, EventLog, Expected, Filter, Metadata, NewEvent, Position, StreamId,
    Subscription, Version,
};
use stanchion::runtime::task;
use stanchion::sql::{Db, Mode, SqlCheckpoints, SqlLog, migrate};
use tokio_util::sync::CancellationToken;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum AccountEvent {
    Opened,
    Booked { cents: i64 },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("accounts")?;
    migrate(&db, &[], Mode::Auto).await?;
    let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await?);
    let account = StreamId::new("account", "4711");

    let opening = [AccountEvent::Opened, AccountEvent::Booked { cents: 500 }];
    let opening = append(&account, Expected::NoStream, &opening)?;
    let appended = log.append(opening.clone()).await?;
    println!("appended: {appended:?}");
    assert_eq!(
        (appended.position, appended.version),
        (Position(2), Some(Version(1)))
    );
    // The answer was lost on its way, say: the same ids again.
    let again = log.append(opening).await?;
    assert_eq!(again, appended);

    conflict(&*log, &account).await?;
    read(&*log, &account).await?;
    follow(&db, &log).await
}

/// Events for one stream; their ids are made here, once, and kept over every repeat.
fn append(
    stream: &StreamId,
    expected: Expected,
    events: &[AccountEvent],
) -> anyhow::Result<Append> {
    let events: Result<Vec<NewEvent>, _> = events.iter().map(NewEvent::of).collect();
    Ok(Append {
        stream: stream.clone(),
        expected,
        events: events?,
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(Some("user-17".into())),
    })
}

/// Decided on version 0, and somebody else was quicker.
async fn conflict(log: &dyn EventLog, account: &StreamId) -> anyhow::Result<()> {
    let booking = [AccountEvent::Booked { cents: -500 }];
    let booking = append(account, Expected::Exact(Version(0)), &booking)?;
    match log.append(booking).await {
        Err(AppendError::Conflict { actual }) => {
            println!("too late, the stream is at {actual:?}");
            assert_eq!(actual, Some(Version(1)));
            Ok(())
        }
        other => anyhow::bail!("{other:?}"),
    }
}

async fn read(log: &dyn EventLog, account: &StreamId) -> anyhow::Result<()> {
    // One stream, oldest first or newest first.
    let stream = log.read_stream(account, Version(0), 100).await?;
    let last = log.read_stream_backward(account, None, 1).await?;
    assert_eq!(stream.last(), last.first());

    // The whole log, or a part of it, in commit order.
    let bookings = Filter::category("account").event_type("booked");
    for entry in log.read(Position::START, &bookings, 100).await? {
        let event: AccountEvent = entry.decode()?;
        println!(
            "position {}: {event:?} by {:?}",
            entry.position, entry.metadata.principal
        );
        assert_eq!(event, AccountEvent::Booked { cents: 500 });
    }
    Ok(())
}

/// At least once: what this handler does must bear a repeat.
async fn follow(db: &Db, log: &Arc<dyn EventLog>) -> anyhow::Result<()> {
    let mailer = Subscription::new(
        "mailer",
        Arc::clone(log),
        Arc::new(SqlCheckpoints::new(db.clone())),
        Filter::category("account"),
        async |entries| {
            for entry in entries {
                println!("mailed: {} of {}", entry.kind, entry.stream);
            }
            Ok(())
        },
    );
    let mut position = mailer.position();
    let stop = CancellationToken::new();
    let running = task::spawn("mailer", mailer.run(stop.clone()));
    let seen = position.wait_for(|at| *at == Position(2));
    tokio::time::timeout(Duration::from_secs(30), seen).await??;
    stop.cancel();
    running.await?;
    Ok(())
}
