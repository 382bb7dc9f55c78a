use std::io::Write;

use sha2::{Digest, Sha256};
use stanchion_eventsourcing::{LogId, Position, StreamId};
use uuid::Uuid;

use super::{
    DealtWith, End, Event, FORMAT, Header, Line, Timer, TransferError, Transferred, exact, hex,
};
use crate::log::{checksum, sum};
use crate::{Db, Row, SqlError, params};

/// Events or keys read at once.
const PAGE: i64 = 1_000;

/// Writes the log of a store into `out`, as it stands at one moment near the end; appends may go on meanwhile.
///
/// Memory holds a page of events, and the timers. Every event's checksum is verified.
///
/// # Errors
/// See [`TransferError`]; what was written so far lacks its last line and cannot be imported.
pub async fn export(db: &Db, out: impl Write + Send) -> Result<Transferred, TransferError> {
    let id: LogId = db
        .one("select id from feed", params![])
        .await?
        .get(0)
        .map_err(TransferError::Store)?;
    let mut export = Export {
        db,
        file: File {
            out,
            hash: Sha256::new(),
        },
        at: Position::START,
    };
    export.file.line(&Line {
        log: Some(Header {
            format: FORMAT,
            id,
            module: db.module().to_owned(),
        }),
        ..Line::default()
    })?;
    export.events(None).await?;
    // Timers change with events: those of one moment belong to the events up to that moment.
    let (head, timers) = timers(export.db).await?;
    export.events(Some(head)).await?;
    let set = export.write_timers(timers)?;
    let dealt_with = export.dealt_with().await?;
    let done = Transferred {
        log: id,
        events: head.0,
        timers: set,
        dealt_with,
    };
    export.file.end(&done)?;
    Ok(done)
}

struct Export<'a, W> {
    db: &'a Db,
    file: File<W>,
    at: Position,
}

struct File<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write + Send> Export<'_, W> {
    /// Writes what follows, up to a position, or as far as there is a whole page.
    async fn events(&mut self, to: Option<Position>) -> Result<(), TransferError> {
        let sql = "select e.position, s.category, s.name, e.version, e.event_id, e.type, e.at, \
                   e.checksum, e.data, e.meta, e.stream from event e \
                   left join stream s on s.stream = e.stream \
                   where e.position > $1 and e.position <= $2 order by e.position limit $3";
        let last = to.map_or(i64::MAX, |to| to.0);
        loop {
            let rows = self.db.query(sql, params![self.at, last, PAGE]).await?;
            for row in &rows {
                self.event(row)?;
            }
            if (rows.len() as i64) < PAGE {
                break;
            }
        }
        if let Some(to) = to.filter(|to| *to > self.at) {
            return Err(damaged(to, "it is missing"));
        }
        Ok(())
    }

    fn event(&mut self, row: &Row) -> Result<(), TransferError> {
        let position: Position = row.get(0)?;
        if position != self.at.next() {
            return Err(damaged(self.at.next(), "it is missing"));
        }
        let unnamed = || damaged(position, "its stream has no name");
        let (category, id) = (
            row.get::<Option<&str>>(1)?.ok_or_else(unnamed)?,
            row.get::<Option<&str>>(2)?.ok_or_else(unnamed)?,
        );
        let (version, event_id, kind) = (row.get(3)?, row.get(4)?, row.get::<&str>(5)?);
        let (data, meta) = (row.get::<&str>(8)?, row.get::<&str>(9)?);
        let (kept, stream): (i64, Uuid) = (row.get(7)?, row.get(10)?);
        if kept != checksum(sum(stream, event_id, kind, data, meta), version) {
            return Err(damaged(position, "the checksum does not hold"));
        }
        if StreamId::new(category, id).key() != stream {
            return Err(damaged(
                position,
                "its stream's key is not that of its name",
            ));
        }
        let unreadable = |error: serde_json::Error| damaged(position, &error.to_string());
        let (data, data_text) = exact(data).map_err(unreadable)?;
        let (meta, meta_text) = exact(meta).map_err(unreadable)?;
        let event = Event {
            position,
            category: category.into(),
            id: id.into(),
            version,
            event_id,
            kind: kind.into(),
            at: row.get(6)?,
            checksum: hex(&kept.to_be_bytes()).into(),
            data,
            data_text,
            meta,
            meta_text,
        };
        self.at = position;
        self.file.line(&Line {
            event: Some(event),
            ..Line::default()
        })
    }

    fn write_timers(&mut self, timers: Vec<Timer>) -> Result<i64, TransferError> {
        let count = timers.len() as i64;
        for timer in timers {
            self.file.line(&Line {
                timer: Some(timer),
                ..Line::default()
            })?;
        }
        Ok(count)
    }

    /// The keys of messages whose effect is among the events written. Such rows are only ever added.
    async fn dealt_with(&mut self) -> Result<i64, TransferError> {
        let sql = "select key, position, at from inbox where key > $1 and key like 'm/%' \
                   and owner is null and coalesce(position, 0) <= $2 order by key limit $3";
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let params = params![after.as_str(), self.at, PAGE];
            let rows = self.db.query(sql, params).await?;
            for row in &rows {
                let dealt_with = DealtWith {
                    key: row.get(0)?,
                    position: row.get(1)?,
                    at: row.get(2)?,
                };
                dealt_with.key.clone_into(&mut after);
                count += 1;
                self.file.line(&Line {
                    dealt_with: Some(dealt_with),
                    ..Line::default()
                })?;
            }
            if (rows.len() as i64) < PAGE {
                return Ok(count);
            }
        }
    }
}

impl<W: Write> File<W> {
    fn line(&mut self, line: &Line<'_>) -> Result<(), TransferError> {
        let mut text = serde_json::to_vec(line).map_err(std::io::Error::from)?;
        text.push(b'\n');
        self.hash.update(&text);
        self.out.write_all(&text)?;
        Ok(())
    }

    fn end(mut self, done: &Transferred) -> Result<(), TransferError> {
        let end = End {
            events: done.events,
            timers: done.timers,
            dealt_with: done.dealt_with,
            sha256: hex(&self.hash.finalize_reset()),
        };
        self.line(&Line {
            end: Some(end),
            ..Line::default()
        })?;
        Ok(self.out.flush()?)
    }
}

/// The timers and the head of one moment: one statement sees one state.
async fn timers(db: &Db) -> Result<(Position, Vec<Timer>), SqlError> {
    let sql = "select h.head, s.category, s.name, t.name, t.due_at \
               from (select coalesce(max(position), 0) as head from event) h \
               left join timer t on 1 = 1 left join stream s on s.stream = t.stream";
    let rows = db.query(sql, params![]).await?;
    let mut timers = Vec::with_capacity(rows.len());
    let mut head = Position::START;
    for row in &rows {
        head = row.get(0)?;
        if row.get::<Option<&str>>(1)?.is_some() {
            timers.push(Timer {
                category: row.get(1)?,
                id: row.get(2)?,
                name: row.get(3)?,
                due_at: row.get(4)?,
            });
        }
    }
    Ok((head, timers))
}

fn damaged(position: Position, reason: &str) -> TransferError {
    TransferError::Damaged {
        position,
        reason: reason.to_owned(),
    }
}
