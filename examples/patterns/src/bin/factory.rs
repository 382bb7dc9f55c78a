//! Factory: a setting in, a whole thing out; who uses it does not know which one it is.
//!
//! The usual defect: an unknown setting silently means the default, and production writes into memory
//! for a week; or what comes out still needs an `init` that somebody forgets. Here the setting is
//! parsed into an enum before anything is made, and a log comes out migrated and ready.

use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use stanchion::eventsourcing::{
    Append, EventLog, Expected, MemoryLog, Metadata, NewEvent, Position, StreamId,
};
use stanchion::sql::{Db, Mode, SqlLog, migrate};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Storage {
    Memory,
    Sqlite,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("storage is `{0}`: it must be `memory` or `sqlite`")]
struct UnknownStorage(String);

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum DoorEvent {
    Opened,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    for setting in ["memory", "sqlite"] {
        let log = open_log(setting.parse()?).await?;
        let at = open_door(&*log).await?;
        println!("{setting}: the door was opened at position {at}");
        assert_eq!(at, Position(1));
    }
    let refused = "sqlit".parse::<Storage>();
    println!("a slip of the pen: {refused:?}");
    assert_eq!(refused, Err(UnknownStorage("sqlit".into())));
    Ok(())
}

/// The factory. The match has no default arm: a new kind of storage does not compile until it is here.
async fn open_log(storage: Storage) -> anyhow::Result<Arc<dyn EventLog>> {
    Ok(match storage {
        Storage::Memory => Arc::new(MemoryLog::new()),
        Storage::Sqlite => {
            let db = Db::memory("doors")?;
            migrate(&db, &[], Mode::Auto).await?;
            Arc::new(SqlLog::open(db).await?)
        }
    })
}

async fn open_door(log: &dyn EventLog) -> anyhow::Result<Position> {
    let append = Append {
        stream: StreamId::new("door", "front"),
        expected: Expected::NoStream,
        events: vec![NewEvent::of(&DoorEvent::Opened)?],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    };
    Ok(log.append(append).await?.position)
}

impl FromStr for Storage {
    type Err = UnknownStorage;

    fn from_str(text: &str) -> Result<Self, UnknownStorage> {
        match text {
            "memory" => Ok(Self::Memory),
            "sqlite" => Ok(Self::Sqlite),
            other => Err(UnknownStorage(other.into())),
        }
    }
}
