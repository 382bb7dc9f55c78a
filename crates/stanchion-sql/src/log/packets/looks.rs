//! What is looked up before a batch is decided on.

use tokio_postgres::{Client, Row, Statement};

use super::columns::Column;
use super::{Step, query};
use crate::SqlError;
use crate::log::plan::{Facts, InboxRow};
use crate::log::ready::Ready;
use crate::postgres::{pipeline, sql_error};

pub(super) const HEAD: &str = "select coalesce(max(position), 0) from event";

/// One index probe a stream.
const VERSIONS: &str = "\
select t.stream, last.version from unnest($1::uuid[]) as t (stream) cross join lateral \
(select version from event where event.stream = t.stream order by version desc limit 1) as last";

const REPEATED: &str = "\
select event_id, stream, version, position from event where event_id = any($1::uuid[])";

const INBOX: &str = "select key, owner, position, answer from inbox where key = any($1::text[])";

/// The statements that only look.
pub(super) struct Looks {
    head: Statement,
    versions: Statement,
    repeated: Statement,
    inbox: Statement,
    inbox_locked: Statement,
}

impl Looks {
    pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            head: client.prepare(HEAD).await?,
            versions: client.prepare(VERSIONS).await?,
            repeated: client.prepare(REPEATED).await?,
            inbox: client.prepare(INBOX).await?,
            // A claim must not be taken over between this look and the commit.
            inbox_locked: client.prepare(&format!("{INBOX} for update")).await?,
        })
    }
}

/// Asks on any connection whose search path is the module's, without the lock: to explain a refusal.
pub(in crate::log) async fn look_on(client: &Client, batch: &[&Ready]) -> Result<Facts, SqlError> {
    let failed = |error: tokio_postgres::Error| sql_error(&error, "look");
    let looks = Looks::prepare(client).await.map_err(failed)?;
    let questions = Questions::about(batch);
    let answers = pipeline(questions.steps(client, &looks, false), false).await;
    let answers = answers.into_iter().collect::<Result<Vec<_>, _>>();
    facts_in(&answers.map_err(failed)?)
}

/// What has to be known of a batch, as columns.
pub(super) struct Questions<'a> {
    streams: [Column<'a>; 1],
    events: [Column<'a>; 1],
    keys: [Column<'a>; 1],
}

impl<'a> Questions<'a> {
    pub(super) fn about(batch: &[&'a Ready]) -> Self {
        let streams = batch.iter().map(|ready| ready.key);
        let events = batch.iter().flat_map(|ready| ready.outermost());
        let keys = batch.iter().filter_map(|ready| ready.inbox_key());
        Self {
            streams: [Column::Uuids(streams.collect())],
            events: [Column::Uuids(events.map(|event| event.id).collect())],
            keys: [Column::Texts(keys.collect())],
        }
    }

    pub(super) fn steps<'b>(
        &'b self,
        client: &'b Client,
        looks: &'b Looks,
        locked: bool,
    ) -> Vec<Step<'b>> {
        let inbox = if locked {
            &looks.inbox_locked
        } else {
            &looks.inbox
        };
        vec![
            query(client, &looks.head, &[]),
            query(client, &looks.versions, &self.streams),
            query(client, &looks.repeated, &self.events),
            query(client, inbox, &self.keys),
        ]
    }
}

pub(super) fn facts_in(answers: &[Vec<Row>]) -> Result<Facts, SqlError> {
    let failed = |error: tokio_postgres::Error| SqlError::Decode(error.to_string());
    let [head, versions, repeated, inbox] = answers else {
        return Err(SqlError::Decode("an answer is missing".into()));
    };
    let mut facts = Facts::default();
    for row in head {
        facts.head = row.try_get(0).map_err(failed)?;
    }
    for row in versions {
        facts.saw_version(
            row.try_get(0).map_err(failed)?,
            row.try_get(1).map_err(failed)?,
        );
    }
    for row in repeated {
        facts.saw_event(
            row.try_get(0).map_err(failed)?,
            row.try_get(1).map_err(failed)?,
            row.try_get(2).map_err(failed)?,
            row.try_get(3).map_err(failed)?,
        );
    }
    for row in inbox {
        let known = InboxRow {
            owner: row.try_get(1).map_err(failed)?,
            position: row.try_get(2).map_err(failed)?,
            answer: row.try_get(3).map_err(failed)?,
        };
        facts.saw_key(row.try_get(0).map_err(failed)?, known);
    }
    Ok(facts)
}
