//! The limit of the database: COPY in binary form, into our own table with all its indexes, or into a narrow one.

use std::pin::pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use load::{Dice, Job, Report, STREAMS};
use stanchion_sql::tokio_postgres::{Client, CopyInSink};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{one_statement, store};

/// Rows in one COPY, which is one durable transaction.
const ROWS: usize = 10_000;
/// Bytes handed to the connection at once.
const CHUNK: usize = 64 * 1024;

const OURS: &str = "copy event (position, stream, version, event_id, type, data, category, meta, at, checksum) \
                    from stdin (format binary)";
const LEAN: &str =
    "copy lean (position, stream, version, event_id, type, data) from stdin (format binary)";
const LEAN_TABLE: &str = "create table lean (position bigint not null unique, stream uuid not null, \
                          version bigint not null, event_id uuid not null, type text not null, data jsonb not null, \
                          primary key (stream, version))";

pub async fn run(job: &Job) -> Report {
    let (_db, _log) = store::log(job).await;
    let client = one_statement::connect(&job.url).await;
    client
        .batch_execute(LEAN_TABLE)
        .await
        .expect("the table is made");
    let mut rows = Rows::new(job.case == "copy-lean");
    // One round is the warm-up.
    copy(&client, &mut rows).await;
    let (begun, mut events) = (Instant::now(), 0);
    while begun.elapsed() < job.seconds {
        events += copy(&client, &mut rows).await;
    }
    Report::rate(events, begun.elapsed())
}

async fn copy(client: &Client, rows: &mut Rows) -> u64 {
    let sql = if rows.lean { LEAN } else { OURS };
    let sink: CopyInSink<Bytes> = client.copy_in(sql).await.expect("a COPY");
    let mut sink = pin!(sink);
    let mut chunk = BytesMut::with_capacity(2 * CHUNK);
    chunk.put_slice(b"PGCOPY\n\xff\r\n\0");
    chunk.put_i32(0);
    chunk.put_i32(0);
    for _ in 0..ROWS {
        rows.next(&mut chunk);
        if chunk.len() >= CHUNK {
            sink.send(chunk.split().freeze()).await.expect("rows");
        }
    }
    chunk.put_i16(-1);
    sink.send(chunk.freeze()).await.expect("the end");
    sink.finish().await.expect("a commit")
}

/// Rows that the log could have written: random streams, versions and positions without a hole.
struct Rows {
    lean: bool,
    position: i64,
    versions: Vec<i64>,
    keys: Vec<Uuid>,
    dice: Dice,
    /// An envelope as the log writes it.
    meta: String,
}

impl Rows {
    fn new(lean: bool) -> Self {
        Self {
            lean,
            position: 0,
            versions: vec![0; STREAMS],
            keys: (0..STREAMS)
                .map(|stream| store::stream(stream).key())
                .collect(),
            dice: Dice::new(1),
            meta: format!(r#"{{"correlation_id":"{}"}}"#, Uuid::now_v7()),
        }
    }

    fn next(&mut self, out: &mut BytesMut) {
        let stream = self.dice.below(STREAMS);
        self.position += 1;
        out.put_i16(if self.lean { 6 } else { 10 });
        field(out, &self.position.to_be_bytes());
        field(out, self.keys[stream].as_bytes());
        field(out, &self.versions[stream].to_be_bytes());
        field(out, Uuid::now_v7().as_bytes());
        field(out, store::KIND.as_bytes());
        let data = load::payload(stream);
        if self.lean {
            // jsonb's wire format has a version before the text.
            out.put_i32(data.len() as i32 + 1);
            out.put_u8(1);
            out.put_slice(data.as_bytes());
        } else {
            field(out, data.as_bytes());
            field(out, store::CATEGORY.as_bytes());
            field(out, self.meta.as_bytes());
            field(out, &self.position.to_be_bytes());
            field(out, &self.position.to_be_bytes());
        }
        self.versions[stream] += 1;
    }
}

fn field(out: &mut BytesMut, bytes: &[u8]) {
    out.put_i32(bytes.len() as i32);
    out.put_slice(bytes);
}
