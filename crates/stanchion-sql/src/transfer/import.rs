//! Reading happens on a thread of its own, writing in one transaction: a file that ends too early leaves nothing.

use std::io::{BufRead, Read};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use stanchion_eventsourcing::{LogId, Position, StreamId};
use stanchion_runtime::task;
use tokio::sync::mpsc;

use super::{
    DealtWith, End, Event, FORMAT, Header, Line, Timer, TransferError, Transferred, hex, stored,
};
use crate::db::Backend;
use crate::log::{checksum, sum};
use crate::sqlite::Sqlite;
use crate::{Db, Params, SqlError, params};

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Statements handed over at once, and how many such parcels wait.
const PARCEL: usize = 1_000;
const PARCELS_WAITING_MAX: usize = 4;

/// The longest an import may hold SQLite's writer.
const SQLITE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What must be empty. An opened log has its identity already; it is replaced.
const EMPTY: [&str; 5] = ["event", "stream", "timer", "inbox", "checkpoint"];

type Step = (&'static str, Params);

/// What the reading thread hands over. Without an end nothing is committed.
enum Parcel {
    Steps(Vec<Step>),
    End,
}

/// Reads a log that [`export`](super::export()) wrote into an empty store: the same positions, versions, ids, times and bytes.
///
/// All or nothing: one transaction, committed when the last line's checksum holds. For a store that
/// nobody has open, migrated and without entries; a log opened on it before has another identity.
/// Projections are rebuilt and consumers begin again afterwards. On PostgreSQL no pause in `input`
/// may be longer than [`DatabaseSettings::lock_timeout`](crate::DatabaseSettings::lock_timeout).
///
/// # Errors
/// See [`TransferError`]; the store is as it was.
pub async fn import(
    db: &Db,
    input: impl BufRead + Send + 'static,
) -> Result<Transferred, TransferError> {
    let (parcels, waiting) = mpsc::channel(PARCELS_WAITING_MAX);
    let reading = task::blocking("import-read", move || Reading::new(input, parcels).run());
    let written = match db.backend() {
        Backend::Sqlite(sqlite) => on_sqlite(db, sqlite, waiting).await,
        Backend::Postgres(_) => on_postgres(db, waiting).await,
    };
    let read = reading
        .await
        .map_err(|failed| SqlError::Unavailable(failed.to_string()))?;
    match (read, written) {
        (_, Err(Unwritten::NotEmpty(table))) => Err(TransferError::NotEmpty(table)),
        // Why reading ended early says more than that it did.
        (Err(ReadFailed::Input(error)), _) => Err(error),
        (_, Err(Unwritten::Store(error))) => Err(error.into()),
        (Err(ReadFailed::NobodyWrites), Ok(())) => {
            Err(SqlError::Unavailable("the writing ended early".into()).into())
        }
        (Ok(done), Ok(())) => Ok(done),
    }
}

enum Unwritten {
    NotEmpty(&'static str),
    Store(SqlError),
}

impl From<SqlError> for Unwritten {
    fn from(error: SqlError) -> Self {
        Self::Store(error)
    }
}

async fn on_postgres(db: &Db, mut parcels: mpsc::Receiver<Parcel>) -> Result<(), Unwritten> {
    let tx = db.begin();
    tx.exec("lock table event in exclusive mode", params![])
        .await?;
    for table in EMPTY {
        if !tx.query(&any_row(table), params![]).await?.is_empty() {
            return Err(Unwritten::NotEmpty(table));
        }
    }
    tx.queue("delete from feed", params![]);
    while let Some(parcel) = parcels.recv().await {
        let Parcel::Steps(steps) = parcel else {
            return Ok(tx.commit().await?);
        };
        for (sql, params) in steps {
            tx.queue(sql, params);
        }
        tx.flush().await?;
    }
    Err(cut_off().into())
}

async fn on_sqlite(
    db: &Db,
    sqlite: &Sqlite,
    mut parcels: mpsc::Receiver<Parcel>,
) -> Result<(), Unwritten> {
    let statements = db.clone();
    let work = move |conn: &rusqlite::Connection| {
        let run =
            |sql: &str, params| crate::sqlite::run(conn, &(statements.statement(sql), params));
        for table in EMPTY {
            if !run(&any_row(table), params![])?.rows.is_empty() {
                return Ok(Some(table));
            }
        }
        run("delete from feed", params![])?;
        while let Some(parcel) = parcels.blocking_recv() {
            let Parcel::Steps(steps) = parcel else {
                return Ok(None);
            };
            for (sql, params) in steps {
                run(sql, params)?;
            }
        }
        Err(cut_off())
    };
    match sqlite.write_within(SQLITE_MAX, work).await? {
        Some(table) => Err(Unwritten::NotEmpty(table)),
        None => Ok(()),
    }
}

fn any_row(table: &str) -> String {
    format!("select 1 from {table} limit 1")
}

fn cut_off() -> SqlError {
    SqlError::usage("the file ended before its last line")
}

enum ReadFailed {
    Input(TransferError),
    /// The other side has given up, and says why.
    NobodyWrites,
}

/// The reading thread.
struct Reading<R> {
    input: R,
    parcels: mpsc::Sender<Parcel>,
    steps: Vec<Step>,
    hash: Sha256,
    line: u64,
    log: Option<LogId>,
    events: i64,
    timers: i64,
    dealt_with: i64,
}

impl<R: BufRead> Reading<R> {
    fn new(input: R, parcels: mpsc::Sender<Parcel>) -> Self {
        Self {
            input,
            parcels,
            steps: Vec::with_capacity(PARCEL),
            hash: Sha256::new(),
            line: 0,
            log: None,
            events: 0,
            timers: 0,
            dealt_with: 0,
        }
    }

    fn run(mut self) -> Result<Transferred, ReadFailed> {
        let mut text = Vec::new();
        loop {
            self.next_line(&mut text).map_err(ReadFailed::Input)?;
            let ended = self.take(&text).map_err(ReadFailed::Input)?;
            if ended || self.steps.len() >= PARCEL {
                self.send(Parcel::Steps)?;
            }
            if ended {
                // Only now: what follows the last line is no export.
                self.nothing_follows().map_err(ReadFailed::Input)?;
                self.send(|_| Parcel::End)?;
                return self.done().map_err(ReadFailed::Input);
            }
        }
    }

    fn next_line(&mut self, text: &mut Vec<u8>) -> Result<(), TransferError> {
        text.clear();
        self.line += 1;
        let mut bounded = (&mut self.input).take(LINE_BYTES_MAX);
        bounded.read_until(b'\n', text)?;
        if text.is_empty() {
            return Err(self.wrong("the file ends here, before its last line"));
        }
        if text.last() != Some(&b'\n') {
            return Err(self.wrong("it has no end"));
        }
        Ok(())
    }

    /// Takes a line in; true for the last one.
    fn take(&mut self, text: &[u8]) -> Result<bool, TransferError> {
        let line: Line<'_> =
            serde_json::from_slice(text).map_err(|error| self.wrong(&error.to_string()))?;
        if let Some(end) = &line.end {
            return self.check_end(end).map(|()| true);
        }
        self.hash.update(text);
        match line {
            Line {
                log: Some(header), ..
            } if self.line == 1 => self.header(&header)?,
            _ if self.log.is_none() => return Err(self.wrong("an export begins with its log")),
            Line {
                event: Some(event), ..
            } => self.event(&event)?,
            Line {
                timer: Some(timer), ..
            } => self.timer(timer),
            Line {
                dealt_with: Some(dealt_with),
                ..
            } => self.settle(dealt_with),
            _ => return Err(self.wrong("it is empty, or a second beginning")),
        }
        Ok(false)
    }

    fn header(&mut self, header: &Header) -> Result<(), TransferError> {
        if header.format != FORMAT {
            let (found, known) = (header.format, FORMAT);
            return Err(self.wrong(&format!("format {found}; this program reads {known}")));
        }
        self.log = Some(header.id);
        let sql = "insert into feed (one, id, created_at) values (1, $1, $2)";
        let params = params![header.id, stanchion_runtime::clock::now()];
        self.steps.push((sql, params));
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), TransferError> {
        if event.position != Position(self.events + 1) {
            return Err(self.wrong(&format!("position {} is missing", self.events + 1)));
        }
        let stream = StreamId::new(&*event.category, &*event.id).key();
        let data = stored(event.data, event.data_text.as_deref());
        let meta = stored(event.meta, event.meta_text.as_deref());
        let kept = checksum(
            sum(stream, event.event_id, &event.kind, data, meta),
            event.version,
        );
        if hex(&kept.to_be_bytes()) != event.checksum {
            return Err(self.wrong("the event's checksum does not hold"));
        }
        if event.version == 0 {
            let sql = "insert into stream (stream, category, name) values ($1, $2, $3)";
            self.steps
                .push((sql, params![stream, &*event.category, &*event.id]));
        }
        let sql = "insert into event (position, stream, version, event_id, category, type, data, \
                   meta, at, checksum) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let (id, category) = (event.event_id, &*event.category);
        let params = params![
            event.position,
            stream,
            event.version,
            id,
            category,
            &*event.kind,
            data,
            meta,
            event.at,
            kept,
        ];
        self.steps.push((sql, params));
        self.events += 1;
        Ok(())
    }

    fn timer(&mut self, timer: Timer) {
        let sql = "insert into timer (stream, name, category, due_at) values ($1, $2, $3, $4)";
        let stream = StreamId::new(timer.category.as_str(), timer.id).key();
        let params = params![stream, timer.name, timer.category, timer.due_at];
        self.steps.push((sql, params));
        self.timers += 1;
    }

    fn settle(&mut self, dealt_with: DealtWith) {
        let sql = "insert into inbox (key, position, at) values ($1, $2, $3)";
        let at: Timestamp = dealt_with.at;
        self.steps
            .push((sql, params![dealt_with.key, dealt_with.position, at]));
        self.dealt_with += 1;
    }

    fn check_end(&mut self, end: &End) -> Result<(), TransferError> {
        let counted = (self.events, self.timers, self.dealt_with);
        if (end.events, end.timers, end.dealt_with) != counted {
            return Err(self.wrong("lines are missing before it"));
        }
        if hex(&self.hash.finalize_reset()) != end.sha256 {
            return Err(self.wrong("the file's checksum does not hold"));
        }
        Ok(())
    }

    fn nothing_follows(&mut self) -> Result<(), TransferError> {
        self.line += 1;
        if self.input.fill_buf()?.is_empty() {
            return Ok(());
        }
        Err(self.wrong("it follows the last one"))
    }

    fn send(&mut self, parcel: impl FnOnce(Vec<Step>) -> Parcel) -> Result<(), ReadFailed> {
        let steps = std::mem::replace(&mut self.steps, Vec::with_capacity(PARCEL));
        let sent = self.parcels.blocking_send(parcel(steps));
        sent.map_err(|_| ReadFailed::NobodyWrites)
    }

    fn done(&self) -> Result<Transferred, TransferError> {
        let log = self
            .log
            .ok_or_else(|| self.wrong("there is no log in it"))?;
        Ok(Transferred {
            log,
            events: self.events,
            timers: self.timers,
            dealt_with: self.dealt_with,
        })
    }

    fn wrong(&self, reason: &str) -> TransferError {
        TransferError::NotAnExport {
            line: self.line,
            reason: reason.to_owned(),
        }
    }
}
