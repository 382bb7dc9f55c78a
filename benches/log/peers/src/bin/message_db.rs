//! message-db's functions, called over tokio-postgres: `append`, `append10`, `feed` (of one category), `stream`.
//!
//! `append:categories=16` spreads the streams over 16 categories; order holds within one category only. The schema is
//! there already: `message-db.sh` installs it.

use std::sync::Arc;

use load::{Job, Outcome, Report, STREAM_EVENTS, Writer};
use tokio_postgres::{Client, Config, NoTls, Statement};
use uuid::Uuid;

const APPEND: &str =
    "select write_message($1::text, $2::text, 'MoneyBooked', $3::text::jsonb, null, $4::int8)";
/// It has no batch; one statement that calls the function for each event is the least it can cost.
const APPEND_BATCH: &str = "select max(write_message(id::varchar, $1::text, 'MoneyBooked', data::jsonb, null, $2::int8 + n - 1)) \
                            from unnest($3::uuid[], $4::text[]) with ordinality as event (id, data, n)";
const FEED: &str = "select * from get_category_messages('account', $1::int8, $2::int8)";
const STREAM: &str = "select * from get_stream_messages($1::text, 0, -1)";

/// Its default is 1,000; larger pages were not faster.
const FEED_PAGE: i64 = 1_000;

fn main() {
    let job = Job::from_arguments();
    load::block_on(&job, run(&job)).print();
}

async fn run(job: &Job) -> Report {
    match job.case.as_str() {
        "append" | "append10" => append(job).await,
        "feed" => {
            let client = connect(&job.url).await;
            fill(&client, job).await;
            let page = client.prepare(FEED).await.expect("a statement");
            load::read_feed(job, || feed(&client, &page)).await
        }
        "stream" => {
            let client = connect(&job.url).await;
            fill(&client, job).await;
            let statement = client.prepare(STREAM).await.expect("a statement");
            let (client, statement) = (&client, &statement);
            load::read_streams(job, |stream| async move {
                let name = load::name(stream);
                client
                    .query(statement, &[&name])
                    .await
                    .expect("a stream")
                    .iter()
                    .map(text_of)
                    .count()
            })
            .await
        }
        other => panic!("message-db has no case {other}"),
    }
}

async fn connect(url: &str) -> Client {
    let mut config: Config = url.parse().expect("a URL");
    config.options("-c search_path=message_store,public");
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL is there");
    tokio::spawn(connection);
    client
}

async fn append(job: &Job) -> Report {
    let categories = job.option("categories").unwrap_or(1);
    let mut connections = Vec::new();
    for _ in 0..job.connections() {
        let client = connect(&job.url).await;
        let sql = if job.batch() == 1 {
            APPEND
        } else {
            APPEND_BATCH
        };
        let statement = client.prepare(sql).await.expect("a statement");
        connections.push((Arc::new(client), statement));
    }
    let appender = |number: usize| {
        let (client, statement) = connections[number % connections.len()].clone();
        Appender {
            client,
            statement,
            categories,
            batch: job.batch(),
        }
    };
    load::write(job, (0..job.writers).map(appender).collect()).await
}

struct Appender {
    client: Arc<Client>,
    statement: Statement,
    categories: usize,
    batch: usize,
}

impl Writer for Appender {
    async fn append(&mut self, stream: usize, known: Option<i64>) -> Outcome {
        let name = match self.categories {
            1 => load::name(stream),
            some => format!("account{:02}-{stream:05}", stream % some),
        };
        let expected = known.unwrap_or(-1);
        let row = if self.batch == 1 {
            let (id, data) = (Uuid::new_v4().to_string(), load::payload(stream));
            self.client
                .query_one(&self.statement, &[&id, &name, &data, &expected])
                .await
        } else {
            let ids: Vec<Uuid> = (0..self.batch).map(|_| Uuid::new_v4()).collect();
            let data = vec![load::payload(stream); self.batch];
            self.client
                .query_one(&self.statement, &[&name, &expected, &ids, &data])
                .await
        };
        Outcome::Appended(row.expect("an append").get(0))
    }
}

async fn fill(client: &Client, job: &Job) {
    let sql = "insert into messages (position, stream_name, type, data) \
               select n, $1::text, 'MoneyBooked', $2::text::jsonb from generate_series(0, $3::int8 - 1) n";
    let statement = client.prepare(sql).await.expect("a statement");
    for stream in 0..job.events / STREAM_EVENTS {
        let (name, data, count) = (
            load::name(stream),
            load::payload(stream),
            STREAM_EVENTS as i64,
        );
        client
            .execute(&statement, &[&name, &data, &count])
            .await
            .expect("events");
    }
    client
        .batch_execute("analyze messages")
        .await
        .expect("statistics");
}

async fn feed(client: &Client, page: &Statement) -> u64 {
    let (mut position, mut read) = (1i64, 0);
    loop {
        let rows = client
            .query(page, &[&position, &FEED_PAGE])
            .await
            .expect("a page");
        let Some(last) = rows.last() else { return read };
        position = last.get::<_, i64>("global_position") + 1;
        read += rows.iter().map(text_of).count() as u64;
    }
}

/// The event's content as a reader gets it.
fn text_of(row: &tokio_postgres::Row) -> String {
    row.get("data")
}
