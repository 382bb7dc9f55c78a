//! Tables of the same names beside the live ones, for a rebuild or a verification.

mod places;
mod postgres;
mod sqlite;

use std::time::Duration;

use stanchion_eventsourcing::{Checkpoint, LogId};
use stanchion_runtime::{clock, id};
use tracing::info;
use uuid::Uuid;

use super::ProjectorError;
use super::apply::Applier;
use super::target::{Target, name_of, stored};
use super::turn::Fence;
use crate::{Db, Engine, Params, SqlError, Tx, params};

/// The longest that one statement of a swap may run.
const SWAP_MAX: Duration = Duration::from_secs(600);

/// Fingerprints are derived below this namespace.
const NAMESPACE: Uuid = Uuid::from_u128(0x8f1d_27c4_5b0e_4c8a_a6f3_90d2_714e_bb15);

/// PostgreSQL: the longest that readers and appends wait for tables to change places. Above the second after which a
/// vacuum makes room (`deadlock_timeout`), below the two for which an append waits for a lock (`lock_timeout`).
const PLACES_WAIT: Duration = Duration::from_millis(1_500);

/// What tables beside the live ones are for.
const REBUILD: &str = "rebuild";
const VERIFY: &str = "verify";

/// Tables beside the live ones.
pub(super) struct Shadow {
    plan: Plan,
    home: Home,
}

/// What is made beside what.
#[derive(Clone)]
struct Plan {
    live: Db,
    log: LogId,
    projection: &'static str,
    tables: &'static [&'static str],
    /// What it is for: [`REBUILD`] or [`VERIFY`].
    purpose: &'static str,
    /// What an interrupted rebuild must have been made of to be gone on with; see [`made_of`].
    made_of: Option<Uuid>,
}

/// How new rows get into the place of the live ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The tables change places: a moment, however many rows there are.
    Tables,
    /// The rows are copied: whoever writes them waits for as long as that takes.
    Rows,
}

/// Where the tables are.
enum Home {
    /// PostgreSQL: a schema of the same database.
    Schema(String),
    /// SQLite: a database of its own.
    File(Db),
}

impl Shadow {
    /// The tables of a rebuild: those of one that was interrupted, or new ones.
    pub(super) async fn open(live: &Applier) -> Result<Self, ProjectorError> {
        let mut plan = Plan::of(live, REBUILD)?;
        plan.made_of = Some(made_of(live, &plan).await?);
        let marked = stored(&plan.live, &plan.name()).await?;
        let own = marked.iter().any(|mark| mark.log == plan.log);
        let goes_on = own && plan.is_made_of_the_same().await?;
        if own && !goes_on {
            let projection = plan.projection;
            info!(
                projection,
                "the interrupted rebuild was of another version and begins anew"
            );
        }
        let home = match plan.live.engine() {
            Engine::Postgres if goes_on => Home::Schema(postgres::schema(&plan)),
            Engine::Postgres => Home::Schema(postgres::create(&plan).await?),
            Engine::Sqlite => Home::File(sqlite::open(&plan, goes_on).await?),
        };
        Ok(Self { plan, home })
    }

    /// The tables of a rebuild that was interrupted, if there is one, to be removed: whatever made them.
    pub(super) async fn find(live: &Applier) -> Result<Option<Self>, ProjectorError> {
        let plan = Plan::of(live, REBUILD)?;
        if stored(&plan.live, &plan.name()).await?.is_empty() {
            return Ok(None);
        }
        let home = match plan.live.engine() {
            Engine::Postgres => Home::Schema(postgres::schema(&plan)),
            Engine::Sqlite => Home::File(sqlite::open(&plan, true).await?),
        };
        Ok(Some(Self { plan, home }))
    }

    /// New tables for a verification.
    pub(super) async fn fresh(live: &Applier) -> Result<Self, ProjectorError> {
        let plan = Plan::of(live, VERIFY)?;
        let home = match plan.live.engine() {
            Engine::Postgres => Home::Schema(postgres::create(&plan).await?),
            Engine::Sqlite => Home::File(sqlite::temporary(&plan).await?),
        };
        Ok(Self { plan, home })
    }

    /// Where entries are applied to them.
    pub(super) fn target(&self) -> Target {
        let name = self.plan.name();
        match &self.home {
            Home::Schema(schema) => {
                Target::shadow(self.plan.live.clone(), Some(schema.clone()), name)
            }
            Home::File(db) => Target::shadow(db.clone(), None, name),
        }
    }

    /// The database that holds a table of this name, and how it is written there.
    pub(super) fn table(&self, table: &str) -> (&Db, String) {
        match &self.home {
            Home::Schema(schema) => (&self.plan.live, format!("\"{schema}\".\"{table}\"")),
            Home::File(db) => (db, format!("\"{table}\"")),
        }
    }

    /// Makes them ready for the swap, before anything has to stand still for it; which way it can go.
    pub(super) async fn prepare(&self) -> Result<Way, SqlError> {
        match &self.home {
            Home::Schema(schema) => places::prepare(&self.plan, schema).await,
            Home::File(_) => Ok(Way::Rows),
        }
    }

    /// Puts the rows in the place of the live ones and moves the live checkpoint to `at`, in one transaction; false if
    /// the live rows have come further meanwhile. With an unsound live checkpoint (`sound`
    /// is false) nothing is compared.
    ///
    /// `hold` is a transaction in which the live rows stand still already; `fence` is checked in it.
    pub(super) async fn swap(
        &self,
        hold: Option<Tx>,
        fence: &Fence,
        (at, sound): (&Checkpoint, bool),
        way: Way,
    ) -> Result<bool, SqlError> {
        match &self.home {
            Home::Schema(schema) => {
                let tx = hold.unwrap_or_else(|| self.plan.live.begin());
                postgres::swap((tx, fence), &self.plan, schema, (at, sound), way).await
            }
            Home::File(db) => sqlite::swap(&self.plan, db, at, sound).await,
        }
    }

    /// Gives the tables up, and that there were any.
    pub(super) async fn remove(self) -> Result<(), ProjectorError> {
        match &self.home {
            Home::Schema(schema) => postgres::drop_tables(&self.plan, schema).await?,
            Home::File(_) => sqlite::unmark(&self.plan).await?,
        }
        self.forget().await;
        Ok(())
    }

    /// What is left once the swap has taken the rest.
    pub(super) async fn forget(self) {
        if let Home::File(db) = self.home {
            sqlite::delete(db).await;
        }
    }
}

impl Plan {
    fn of(live: &Applier, purpose: &'static str) -> Result<Self, ProjectorError> {
        let core = &live.core;
        let tables = core.projection.tables();
        let plain = |name: &&str| name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if tables.is_empty() || !tables.iter().all(plain) {
            return Err(ProjectorError::Refused(format!(
                "the projection `{}` does not say (plainly) which tables it writes: see `Projection::tables`",
                core.name()
            )));
        }
        Ok(Self {
            live: live.target.db.clone(),
            log: core.log.id(),
            projection: core.name(),
            tables,
            purpose,
            made_of: None,
        })
    }

    /// The checkpoint's name.
    fn name(&self) -> String {
        name_of(self.projection, self.purpose)
    }

    /// The name of the row that says what they were made of.
    fn made_of_name(&self) -> String {
        let made_of = self.made_of.unwrap_or_default();
        format!("{}/made-of/{}", self.name(), made_of.simple())
    }

    async fn is_made_of_the_same(&self) -> Result<bool, SqlError> {
        let kept = stored(&self.live, &self.made_of_name()).await?;
        Ok(!kept.is_empty())
    }

    /// The statement, with its parameters, that forgets how far the tables are and what they were made of.
    fn forget(&self) -> (&'static str, Params) {
        let sql = "delete from checkpoint where name = $1 \
                   or substr(name, 1, length(cast($2 as text))) = $2";
        (
            sql,
            params![self.name(), format!("{}/made-of/", self.name())],
        )
    }

    /// The statement that remembers what they are made of.
    fn remember(&self) -> (&'static str, Params) {
        let sql = "insert into checkpoint (name, log, position, at) values ($1, $2, 0, $3)";
        (sql, params![self.made_of_name(), self.log, clock::now()])
    }
}

/// What rows are made of: the projection's version and filter, its tables and their columns. Half-built tables of
/// something else are of no use.
async fn made_of(live: &Applier, plan: &Plan) -> Result<Uuid, SqlError> {
    let projection = &live.core.projection;
    let mut text = format!("{} {:?}", projection.version(), projection.filter());
    for table in plan.tables {
        let columns = match plan.live.engine() {
            Engine::Postgres => postgres::described(plan, table).await?,
            Engine::Sqlite => sqlite::described(plan, table).await?,
        };
        text += &format!("\n{table}: {}", columns.join("; "));
    }
    Ok(id::derived(&NAMESPACE, text.as_bytes()))
}

/// A statement that puts the live checkpoint where the new rows are, unless it is further and sound: then it changes
/// no row. The live row itself is never deleted: a projector that waits for it must find it moved.
fn move_live(plan: &Plan, at: &Checkpoint, sound: bool) -> (String, Params) {
    let guard = if sound {
        " where checkpoint.position <= excluded.position"
    } else {
        ""
    };
    let sql = format!(
        "insert into checkpoint (name, log, position, event_id, at) values ($1, $2, $3, $4, $5) \
         on conflict (name, log) do update set position = excluded.position, \
         event_id = excluded.event_id, at = excluded.at{guard}"
    );
    let name = super::target::live_name(plan.projection);
    let params = params![name, at.log, at.position, at.event, clock::now()];
    (sql, params)
}
