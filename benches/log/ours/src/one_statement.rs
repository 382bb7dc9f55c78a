//! For comparison: what one statement an append reaches on our table, ordered by an advisory lock held to the commit
//! as other stores do it, or unordered with a sequence.

use std::sync::Arc;

use load::{Job, Outcome, Report, Writer};
use stanchion_sql::tokio_postgres::{Client, Config, NoTls, Statement};
use uuid::Uuid;

use crate::store;

const FUNCTION: &str = "
    create sequence unordered;
    create function append_ordered(uuid, bigint, uuid, text) returns bigint language plpgsql as $$
    begin
        perform pg_advisory_xact_lock(1);
        insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum)
        select coalesce(max(position), 0) + 1, $1, $2, $3, 'account', 'money_booked', $4::json, '{}', now(), 0 from event;
        return $2;
    end $$;
    create function append_unordered(uuid, bigint, uuid, text) returns bigint language plpgsql as $$
    begin
        insert into event (position, stream, version, event_id, category, type, data, meta, at, checksum)
        values (nextval('unordered'), $1, $2, $3, 'account', 'money_booked', $4::json, '{}', now(), 0);
        return $2;
    end $$;";

pub async fn run(job: &Job) -> Report {
    let (_db, _log) = store::log(job).await;
    let unordered = job.options.iter().any(|option| option == "unordered");
    let client = connect(&job.url).await;
    client
        .batch_execute(FUNCTION)
        .await
        .expect("the functions are made");
    let sql = if unordered {
        "select append_unordered($1, $2, $3, $4)"
    } else {
        "select append_ordered($1, $2, $3, $4)"
    };
    let mut connections = Vec::new();
    for _ in 0..job.connections() {
        let client = connect(&job.url).await;
        let statement = client.prepare(sql).await.expect("a statement");
        connections.push((Arc::new(client), statement));
    }
    let appender = |number: usize| {
        let (client, statement) = connections[number % connections.len()].clone();
        Appender { client, statement }
    };
    load::write(job, (0..job.writers).map(appender).collect()).await
}

/// A connection of its own to our schema.
pub async fn connect(url: &str) -> Client {
    let mut config: Config = url.parse().expect("a URL");
    config.options(format!("-c search_path={}", store::MODULE));
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL is there");
    tokio::spawn(connection);
    client
}

struct Appender {
    client: Arc<Client>,
    statement: Statement,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let version = known.map_or(0, |known| known + 1);
        let (key, id, data) = (
            store::stream(stream).key(),
            Uuid::now_v7(),
            load::payload(stream),
        );
        let done = self
            .client
            .query_one(&self.statement, &[&key, &version, &id, &data])
            .await;
        Outcome::Appended(done.expect("an append").get(0))
    }
}
