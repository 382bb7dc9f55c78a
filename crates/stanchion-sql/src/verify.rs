//! Looks at everything a log promises, and says all that does not hold.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::value::RawValue;
use stanchion_eventsourcing::{LogId, Metadata, Position, StreamId};
use uuid::Uuid;

use crate::log::{checksum, sum};
use crate::{Db, Row, SqlError, params};

/// Rows read at once.
const PAGE: i64 = 1_000;

/// The most findings that are told one by one; the rest is counted.
const FINDINGS_MAX: usize = 10_000;

/// What a look at a whole log found; see [`verify_log`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogReport {
    /// The log.
    pub log: LogId,
    /// Its last position when the look began.
    pub head: Position,
    /// Events looked at.
    pub events: u64,
    /// Streams looked at.
    pub streams: u64,
    /// Checkpoints in this log; those in other logs are not judged.
    pub checkpoints: u64,
    /// Snapshots looked at.
    pub snapshots: u64,
    /// What does not hold, at most 10,000.
    pub findings: Vec<LogFinding>,
    /// How many more there were.
    pub unlisted: u64,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFinding {
    /// Where: `position 17`, `stream order-1`, `checkpoint projection/orders`, `snapshot of order-1`.
    pub place: String,
    /// What.
    pub what: String,
}

/// Reads a whole log and what hangs on it, and reports everything that does not hold:
///
/// positions 1, 2, 3 … and versions 0, 1, 2 … without a hole, in the same order; every checksum, over
/// the bytes as stored; content and metadata that can be read; streams whose name makes their key, in
/// the category their events say; checkpoints at positions that are there, with the event they saw;
/// snapshots of events that are there; inbox rows and timers of this log.
///
/// Nothing is written, and the log may grow meanwhile. Memory holds a page and the findings.
///
/// # Errors
/// The store cannot be read. What it says is no error but a finding.
pub async fn verify_log(db: &Db) -> Result<LogReport, SqlError> {
    let log = db.one("select id from feed", params![]).await?.get(0)?;
    let head = "select coalesce(max(position), 0) from event";
    let report = LogReport {
        log,
        head: db.one(head, params![]).await?.get(0)?,
        events: 0,
        streams: 0,
        checkpoints: 0,
        snapshots: 0,
        findings: Vec::new(),
        unlisted: 0,
    };
    let mut look = Look { db, report };
    look.positions().await?;
    look.versions().await?;
    look.checkpoints().await?;
    look.snapshots().await?;
    look.leftovers().await?;
    Ok(look.report)
}

struct Look<'a> {
    db: &'a Db,
    report: LogReport,
}

impl Look<'_> {
    async fn positions(&mut self) -> Result<(), SqlError> {
        let sql = "select e.position, e.stream, e.version, e.event_id, e.category, e.type, \
                   e.checksum, e.data, e.meta, s.category, s.name from event e \
                   left join stream s on s.stream = e.stream \
                   where e.position > $1 and e.position <= $2 order by e.position limit $3";
        let mut at = Position::START;
        loop {
            let rows = self
                .db
                .query(sql, params![at, self.report.head, PAGE])
                .await?;
            for row in &rows {
                let position: Position = row.get(0)?;
                if position != at.next() {
                    let last = Position(position.0 - 1);
                    self.found(format!("position {}", at.next()), hole(at.next(), last));
                }
                at = position;
                self.report.events += 1;
                self.event(position, row);
            }
            if (rows.len() as i64) < PAGE {
                return Ok(());
            }
        }
    }

    /// A row that cannot be read is a finding as well.
    fn event(&mut self, position: Position, row: &Row) {
        match event_faults(row) {
            Ok(faults) => {
                for fault in faults {
                    self.found(format!("position {position}"), fault);
                }
            }
            Err(error) => self.found(format!("position {position}"), error.to_string()),
        }
    }

    async fn versions(&mut self) -> Result<(), SqlError> {
        let sql = "select stream, version, position from event \
                   where (stream, version) > ($1, $2) order by stream, version limit $3";
        let mut last: (Uuid, i64, i64) = (Uuid::nil(), -1, 0);
        loop {
            let rows = self.db.query(sql, params![last.0, last.1, PAGE]).await?;
            for row in &rows {
                let this: (Uuid, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                if this.0 != last.0 {
                    self.report.streams += 1;
                    last = (this.0, -1, 0);
                }
                let place = || format!("stream {} version {}", this.0, this.1);
                if this.1 != last.1 + 1 {
                    self.found(place(), hole(Position(last.1 + 1), Position(this.1 - 1)));
                }
                if this.2 <= last.2 {
                    self.found(place(), "it stands before the version it follows".into());
                }
                last = this;
            }
            if (rows.len() as i64) < PAGE {
                return Ok(());
            }
        }
    }

    async fn checkpoints(&mut self) -> Result<(), SqlError> {
        // One statement sees one state: a checkpoint may not be ahead of that state's head.
        let sql = "select c.name, c.position, c.event_id, e.event_id, h.head from checkpoint c \
                   join (select coalesce(max(position), 0) as head from event) h on 1 = 1 \
                   left join event e on e.position = c.position where c.log = $1 order by c.name";
        for row in self.db.query(sql, params![self.report.log]).await? {
            self.report.checkpoints += 1;
            let place = format!("checkpoint {}", row.get::<&str>(0)?);
            let (at, head): (i64, i64) = (row.get(1)?, row.get(4)?);
            let (saw, there): (Option<Uuid>, Option<Uuid>) = (row.get(2)?, row.get(3)?);
            if at < 0 || at > head {
                self.found(place, format!("it is at {at}, and the log ends at {head}"));
            } else if saw.is_some() && saw != there {
                let what = format!("at position {at} it saw another event than is there");
                self.found(place, what);
            }
        }
        Ok(())
    }

    async fn snapshots(&mut self) -> Result<(), SqlError> {
        let sql = "select p.stream, s.category, s.name, p.version, p.data, e.event_id \
                   from snapshot p left join stream s on s.stream = p.stream \
                   left join event e on e.stream = p.stream and e.version = p.version \
                   where p.stream > $1 order by p.stream limit $2";
        let mut after = Uuid::nil();
        loop {
            let rows = self.db.query(sql, params![after, PAGE]).await?;
            for row in &rows {
                after = row.get(0)?;
                self.report.snapshots += 1;
                if let Some(what) = snapshot_fault(row)? {
                    let what = format!("{what}; the next load discards it");
                    self.found(format!("snapshot of {}", stream_name(row, 1)?), what);
                }
            }
            if (rows.len() as i64) < PAGE {
                return Ok(());
            }
        }
    }

    /// Rows that point at nothing: what is left of a log that went back.
    async fn leftovers(&mut self) -> Result<(), SqlError> {
        let counts = [
            (
                "inbox",
                "rows whose effect is behind the log's end",
                "select count(*) from inbox \
                 where position > (select coalesce(max(position), 0) from event)",
            ),
            (
                "timer",
                "timers of streams that are not there",
                "select count(*) from timer t \
                 where not exists (select 1 from stream s where s.stream = t.stream)",
            ),
        ];
        for (place, what, sql) in counts {
            let count: i64 = self.db.one(sql, params![]).await?.get(0)?;
            if count > 0 {
                self.found(place.into(), format!("{count} {what}"));
            }
        }
        Ok(())
    }

    fn found(&mut self, place: String, what: String) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(LogFinding { place, what });
        } else {
            self.report.unlisted += 1;
        }
    }
}

fn event_faults(row: &Row) -> Result<Vec<String>, SqlError> {
    let (stream, version, id): (Uuid, i64, Uuid) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let (category, kind): (&str, &str) = (row.get(4)?, row.get(5)?);
    let (data, meta): (&str, &str) = (row.get(7)?, row.get(8)?);
    let mut faults = Vec::new();
    if checksum(sum(stream, id, kind, data, meta), version) != row.get::<i64>(6)? {
        faults.push("the checksum does not hold".into());
    }
    if let Err(error) = serde_json::from_str::<&RawValue>(data) {
        faults.push(format!("its content cannot be read: {error}"));
    }
    if let Err(error) = serde_json::from_str::<Metadata>(meta) {
        faults.push(format!("its metadata cannot be read: {error}"));
    }
    match (row.get::<Option<&str>>(9)?, row.get::<Option<&str>>(10)?) {
        (Some(of_stream), Some(name)) => {
            if of_stream != category {
                let what = "but its stream of category";
                faults.push(format!("it is of category {category}, {what} {of_stream}"));
            }
            if StreamId::new(of_stream, name).key() != stream {
                faults.push(format!(
                    "its stream's key is not that of {of_stream}-{name}"
                ));
            }
        }
        _ => faults.push(format!("its stream {stream} has no name")),
    }
    Ok(faults)
}

fn snapshot_fault(row: &Row) -> Result<Option<String>, SqlError> {
    let there: Option<Uuid> = row.get(5)?;
    let kept = row.json::<BTreeMap<String, serde_json::Value>>(4);
    let event = kept.ok().and_then(|kept| {
        let event = kept.get("event")?.as_str()?;
        Uuid::parse_str(event).ok()
    });
    Ok(match (event, there) {
        (None, _) => Some("it cannot be read".into()),
        (_, None) => Some(format!("there is no version {}", row.get::<i64>(3)?)),
        (Some(event), Some(there)) if event != there => {
            Some(format!("version {} is another event", row.get::<i64>(3)?))
        }
        _ => None,
    })
}

fn stream_name(row: &Row, first: usize) -> Result<String, SqlError> {
    let name: (Option<&str>, Option<&str>) = (row.get(first)?, row.get(first + 1)?);
    Ok(match name {
        (Some(category), Some(name)) => StreamId::new(category, name).to_string(),
        _ => row.get::<Uuid>(0)?.to_string(),
    })
}

fn hole(first: Position, last: Position) -> String {
    if first >= last {
        format!("{first} is missing")
    } else {
        format!("{first} to {last} are missing")
    }
}

impl LogReport {
    /// Whether everything holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for LogFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Every finding on a line of its own, and what was looked at.
impl fmt::Display for LogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.unlisted > 0 {
            writeln!(f, "… and {} more", self.unlisted)?;
        }
        write!(
            f,
            "log {}: {} events to position {}, {} streams, {} checkpoints, {} snapshots: ",
            self.log, self.events, self.head, self.streams, self.checkpoints, self.snapshots
        )?;
        match self.findings.len() as u64 + self.unlisted {
            0 => f.write_str("all is well"),
            count => write!(f, "{count} findings"),
        }
    }
}
