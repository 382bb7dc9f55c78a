//! The instances of processes that have not ended, as rows made of the log.

use async_trait::async_trait;
use stanchion_eventsourcing::{
    Filter, InstanceCount, InstanceFilter, InstanceList, InstanceRow, InstanceState, Process,
    ProcessEvent, Projection, ProjectionError, Recorded, RunEvent, Standing, UnknownEvent,
};

use crate::{Db, Row, SqlError, Tx, Value, params};

/// The most instances one call lists.
const LIST_MAX: usize = 1_000;

/// A reason in the list is cut after so many bytes; the instance's event has it whole.
const REASON_BYTES_MAX: usize = 2_000;

/// The states as the column has them; what is paused has a reason beside the state it will have again.
const RUNNING: &str = "running";
const COMPENSATING: &str = "compensating";
const ENDED: &str = "ended";

const COLUMNS: &str = "category, id, definition, state, step, reason, begun_at, changed_at";

/// What an event of an instance means for its row.
enum Change {
    Nothing,
    Stands(Standing),
    Definition(u32),
    Paused(String),
    /// A pause is over.
    GoesOn,
}

type Read = fn(&Recorded) -> Result<Change, UnknownEvent>;

/// The projection behind [`SqlProcesses`]: a row for each instance that has not ended, of all processes of a module.
///
/// It is run and rebuilt like any other [`Projection`], once a module.
#[derive(Clone, Default)]
pub struct ProcessRows {
    processes: Vec<(&'static str, Read)>,
}

impl ProcessRows {
    /// Of no process yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Of `P` as well.
    #[must_use]
    pub fn of<P: Process>(mut self) -> Self {
        self.processes.push((P::CATEGORY, read::<P>));
        self
    }
}

fn read<P: Process>(recorded: &Recorded) -> Result<Change, UnknownEvent> {
    Ok(match recorded.decode::<ProcessEvent<P::Event>>()? {
        ProcessEvent::Own(own) => P::enters(&own).map_or(Change::Nothing, Change::Stands),
        ProcessEvent::Run(run) => match run {
            RunEvent::ProcessBegun { definition }
            | RunEvent::ProcessMigrated { to: definition, .. } => Change::Definition(definition),
            RunEvent::ProcessPaused { reason, .. } => Change::Paused(reason),
            RunEvent::ProcessResumed { .. } | RunEvent::ProcessRestarted { .. } => Change::GoesOn,
        },
    })
}

#[async_trait]
impl Projection<Tx> for ProcessRows {
    fn name(&self) -> &'static str {
        "process_instances"
    }

    fn filter(&self) -> Filter {
        let categories = self.processes.iter().map(|(name, _)| (*name).to_owned());
        Filter {
            categories: categories.collect(),
            types: Vec::new(),
        }
    }

    fn tables(&self) -> &'static [&'static str] {
        &["process_instance"]
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        let category = recorded.stream.category();
        let of = self.processes.iter().find(|(name, _)| *name == category);
        let Some((_, read)) = of else { return Ok(()) };
        match read(recorded)? {
            Change::Nothing => {}
            Change::Stands(Standing::Ended(_)) => end(tx, recorded),
            Change::Stands(Standing::AtStep(step)) => stand(tx, recorded, RUNNING, Some(step)),
            Change::Stands(Standing::Compensating) => stand(tx, recorded, COMPENSATING, None),
            Change::Definition(definition) => define(tx, recorded, definition),
            Change::Paused(reason) => pause(tx, recorded, &reason),
            Change::GoesOn => go_on(tx, recorded),
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        let emptied = tx.exec("delete from process_instance", params![]).await;
        emptied
            .map(drop)
            .map_err(|error| ProjectionError::Store(error.to_string()))
    }
}

/// The definition of a row that an event makes: the stream's first one is of the first definition, unless it says so
/// itself. A later one makes a row only after the end, when nobody knows any more.
fn made_with(recorded: &Recorded) -> i64 {
    i64::from(recorded.version.0 == 0)
}

fn stand(tx: &Tx, recorded: &Recorded, state: &str, step: Option<&str>) {
    tx.queue(
        "insert into process_instance (category, id, definition, state, step, begun_at, changed_at) \
         values ($1, $2, $3, $4, $5, $6, $6) on conflict (category, id) do update set \
         state = excluded.state, step = excluded.step, changed_at = excluded.changed_at",
        params![
            recorded.stream.category(),
            recorded.stream.id(),
            made_with(recorded),
            state,
            step.map_or(Value::Null, Value::from),
            recorded.at,
        ],
    );
}

fn define(tx: &Tx, recorded: &Recorded, definition: u32) {
    tx.queue(
        "insert into process_instance (category, id, definition, state, begun_at, changed_at) \
         values ($1, $2, $3, $4, $5, $5) on conflict (category, id) do update set \
         definition = excluded.definition, changed_at = excluded.changed_at",
        params![
            recorded.stream.category(),
            recorded.stream.id(),
            i64::from(definition),
            RUNNING,
            recorded.at,
        ],
    );
}

/// One that has ended already may pause as well, at something that it is told too late.
///
/// A reason may be made of what somebody sent, and PostgreSQL's texts have no NUL: it must not halt the list of all.
fn pause(tx: &Tx, recorded: &Recorded, reason: &str) {
    let end = reason.floor_char_boundary(REASON_BYTES_MAX);
    let reason = reason[..end].replace('\0', "\u{fffd}");
    tx.queue(
        "insert into process_instance (category, id, definition, state, reason, begun_at, changed_at) \
         values ($1, $2, $3, $4, $5, $6, $6) on conflict (category, id) do update set \
         reason = excluded.reason, changed_at = excluded.changed_at",
        params![
            recorded.stream.category(),
            recorded.stream.id(),
            made_with(recorded),
            ENDED,
            reason,
            recorded.at,
        ],
    );
}

fn go_on(tx: &Tx, recorded: &Recorded) {
    let (category, id) = (recorded.stream.category(), recorded.stream.id());
    tx.queue(
        "delete from process_instance where category = $1 and id = $2 and state = $3",
        params![category, id, ENDED],
    );
    tx.queue(
        "update process_instance set reason = null, changed_at = $3 where category = $1 and id = $2",
        params![category, id, recorded.at],
    );
}

fn end(tx: &Tx, recorded: &Recorded) {
    tx.queue(
        "delete from process_instance where category = $1 and id = $2",
        params![recorded.stream.category(), recorded.stream.id()],
    );
}

/// The rows that [`ProcessRows`] makes, for the operator and for metrics.
#[derive(Clone)]
pub struct SqlProcesses {
    db: Db,
}

impl SqlProcesses {
    /// The rows of a store whose `stanchion` migrations are applied.
    #[must_use]
    pub fn new(db: Db) -> Self {
        Self { db }
    }
}

#[async_trait]
impl InstanceList for SqlProcesses {
    async fn list(
        &self,
        process: &str,
        filter: &InstanceFilter,
    ) -> Result<Vec<InstanceRow>, String> {
        let limit = i64::try_from(filter.limit.min(LIST_MAX)).unwrap_or(i64::MAX);
        let (which, state) = match filter.state {
            None => ("$2 = ''", ""),
            Some(InstanceState::Paused) => ("$2 = '' and reason is not null", ""),
            Some(state) => ("state = $2 and reason is null", state.word()),
        };
        let sql = format!(
            "select {COLUMNS} from process_instance where category = $1 and {which} \
             order by changed_at, id limit $3"
        );
        let rows = self.db.query(&sql, params![process, state, limit]).await;
        let rows = rows.map_err(|error| error.to_string())?;
        let rows: Result<_, SqlError> = rows.iter().map(row).collect();
        rows.map_err(|error| error.to_string())
    }

    async fn counts(&self, process: &str) -> Result<Vec<InstanceCount>, String> {
        let sql = "select definition, case when reason is null then state else 'paused' end as state_now, \
                   count(*) from process_instance where category = $1 group by 1, 2 order by 1, 2";
        let rows = self.db.query(sql, params![process]).await;
        let rows = rows.map_err(|error| error.to_string())?;
        let rows: Result<_, SqlError> = rows.iter().map(count).collect();
        rows.map_err(|error| error.to_string())
    }
}

fn row(row: &Row) -> Result<InstanceRow, SqlError> {
    let reason: Option<&str> = row.get(5)?;
    let state = match reason {
        Some(_) => InstanceState::Paused,
        None => state(row.get(3)?)?,
    };
    Ok(InstanceRow {
        process: row.get::<&str>(0)?.to_owned(),
        id: row.get::<&str>(1)?.to_owned(),
        definition: definition(row.get(2)?),
        state,
        step: row.get::<Option<&str>>(4)?.map(str::to_owned),
        reason: reason.map(str::to_owned),
        begun_at: row.get(6)?,
        changed_at: row.get(7)?,
    })
}

fn count(row: &Row) -> Result<InstanceCount, SqlError> {
    Ok(InstanceCount {
        definition: definition(row.get(0)?),
        state: state(row.get(1)?)?,
        count: u64::try_from(row.get::<i64>(2)?).unwrap_or_default(),
    })
}

fn definition(column: i64) -> u32 {
    u32::try_from(column).unwrap_or_default()
}

fn state(column: &str) -> Result<InstanceState, SqlError> {
    match column {
        RUNNING => Ok(InstanceState::Running),
        COMPENSATING => Ok(InstanceState::Compensating),
        ENDED => Ok(InstanceState::Ended),
        "paused" => Ok(InstanceState::Paused),
        other => Err(SqlError::Decode(format!("no instance is `{other}`"))),
    }
}
