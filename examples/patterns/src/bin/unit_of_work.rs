//! Unit of work: a row and the event that tells of it commit together, or neither is there.
//!
//! The usual defect is two writes of which one happens: the row is saved, then the process dies before
//! the event is. Here both are in one transaction, and a unit that is dropped never happened.

use serde::Serialize;
use stanchion::eventsourcing::{EventLog, Expected, Metadata, NewEvent, Position, StreamId};
use stanchion::sql::{Db, Migrations, Mode, SqlLog, UnitOfWork, migrate, params};

/// What others may know of a member: no name, no address.
#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
enum MemberEvent {
    Joined { number: i64 },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let db = Db::memory("members")?;
    migrate(&db, &[schema()], Mode::Auto).await?;
    let log = SqlLog::open(db.clone()).await?;

    let committed = join(&db, 1, "Ada")?.commit().await?;
    assert_eq!(committed.position, Some(Position(1)));
    println!("Ada joined: {}", state(&db, &log).await?);

    drop(join(&db, 2, "Bob")?);
    println!(
        "Bob's caller went away before the commit: {}",
        state(&db, &log).await?
    );

    let clash = join(&db, 1, "Eve")?.commit().await;
    println!("Eve wants Ada's number: {}", state(&db, &log).await?);
    assert!(clash.is_err(), "the unique number refuses the row");

    assert_eq!(state(&db, &log).await?, "1 row, 1 event");
    Ok(())
}

/// Prepared, not committed: the caller decides what else belongs to it.
fn join(db: &Db, number: i64, name: &str) -> anyhow::Result<UnitOfWork> {
    let mut work = UnitOfWork::begin(db);
    work.queue(
        "insert into member (number, name) values ($1, $2)",
        params![number, name],
    );
    work.record(
        StreamId::new("member", number.to_string()),
        Expected::Any,
        vec![NewEvent::of(&MemberEvent::Joined { number })?],
        &Metadata::new(None),
    );
    Ok(work)
}

async fn state(db: &Db, log: &SqlLog) -> anyhow::Result<String> {
    let row = db.one("select count(*) from member", params![]).await?;
    let rows: i64 = row.get(0)?;
    let events = log.head().await?;
    Ok(format!("{rows} row, {events} event"))
}

fn schema() -> Migrations {
    Migrations::new("members").with(
        1,
        "members",
        "create table member (number bigint primary key, name text not null)",
        "drop table member",
    )
}
