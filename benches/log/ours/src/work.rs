//! The unit of work: an event recorded in a transaction of its own, with or without a row beside it.

use load::{Job, Outcome, Report, Writer};
use stanchion_eventsourcing::{Expected, Metadata, Version};
use stanchion_sql::{Db, UnitOfWork, params};

use crate::store;

const TABLE: &str = "create table balance (account text primary key, cents bigint not null)";
const UPSERT: &str = "insert into balance (account, cents) values ($1, $2) \
                      on conflict (account) do update set cents = balance.cents + excluded.cents";

pub async fn run(job: &Job) -> Report {
    let (db, _log) = store::log(job).await;
    db.script(TABLE).await.expect("the table is made");
    let worker = |_| Worker {
        db: db.clone(),
        row: job.case == "work-row",
        metadata: Metadata::new(None),
    };
    load::write(job, (0..job.writers).map(worker).collect()).await
}

struct Worker {
    db: Db,
    row: bool,
    metadata: Metadata,
}

impl Writer for Worker {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let mut work = UnitOfWork::begin(&self.db);
        if self.row {
            work.queue(UPSERT, params![load::name(stream), 4200]);
        }
        let expected = known.map_or(Expected::NoStream, |known| Expected::Exact(Version(known)));
        let events = store::events(stream, 1);
        work.record(store::stream(stream), expected, events, &self.metadata);
        work.commit().await.expect("a commit");
        Outcome::Appended(known.map_or(0, |known| known + 1))
    }
}
