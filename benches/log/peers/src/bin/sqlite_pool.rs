//! SQLite as it is usually used from async Rust: an sqlx pool, `begin immediate` for each append; `append`, `append10`.
//!
//! URL is `sqlite://FOLDER`; the file is durable as ours is (WAL, `synchronous=FULL`).

use std::{str::FromStr, time::Duration};

use load::{Job, Outcome, Report, Writer};
use sqlx::{
    Executor, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

const TABLE: &str = "
    create table event (
        position integer primary key, stream text not null, version integer not null, event_id blob not null,
        type text not null, data text not null, unique (stream, version))";
const INSERT: &str = "insert into event (stream, version, event_id, type, data) values ($1, $2, $3, 'MoneyBooked', $4)";

/// The pool's own default.
const CONNECTIONS: u32 = 10;

fn main() {
    let job = Job::from_arguments();
    load::block_on(&job, run(&job)).print();
}

async fn run(job: &Job) -> Report {
    let folder = job.url.trim_start_matches("sqlite://");
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{folder}/peer.db"))
        .expect("a path")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60));
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(Duration::from_secs(60))
        .test_before_acquire(false)
        .connect_with(options)
        .await
        .expect("SQLite opens");
    pool.execute(TABLE).await.expect("the table is made");
    let appender = |_| Appender {
        pool: pool.clone(),
        batch: job.batch(),
    };
    load::write(job, (0..job.writers).map(appender).collect()).await
}

struct Appender {
    pool: SqlitePool,
    batch: usize,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let first = known.map_or(0, |last| last + 1);
        let last = first + self.batch as i64 - 1;
        let mut tx = self
            .pool
            .begin_with("begin immediate")
            .await
            .expect("a transaction");
        for version in first..=last {
            let insert = sqlx::query(INSERT)
                .bind(load::name(stream))
                .bind(version)
                .bind(Uuid::new_v4().into_bytes().to_vec())
                .bind(load::payload(stream));
            insert.execute(&mut *tx).await.expect("an insert");
        }
        tx.commit().await.expect("a commit");
        Outcome::Appended(last)
    }
}
