//! The swap at the end of a rebuild: how long anybody waits for it does not depend on how many rows there are.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stanchion_eventsourcing::{
    EventLog, Filter, Projection, ProjectionError, ProjectionState, Recorded,
};
use stanchion_runtime::task;
use stanchion_sql::{
    DatabaseSettings, Db, Engine, Migrations, Mode, Projector, SqlLog, Tx, migrate, params,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounts::{balance, book, booked, sound, stores};
use crate::support::databases_with;

/// Shorter than it takes to copy the rows: an append that waited for that would be refused.
const APPEND_WAIT: Duration = Duration::from_secs(1);

/// Rows of each of the first entries.
const ROWS: i64 = 1_000;

/// How many entries those are: on PostgreSQL so many that copying their rows takes longer than an append waits; on SQLite,
/// where they are copied, fewer.
fn entries(db: &Db) -> usize {
    match db.engine() {
        Engine::Postgres => 300,
        Engine::Sqlite => 60,
    }
}

const WIDE: &str = "create table wide (account text not null, version bigint not null, nth bigint not null, \
                    said text not null, primary key (account, version, nth)); \
                    create index wide_by_what_was_said on wide (said, account)";

/// As many rows of an entry as it has cents.
struct Wide;

#[async_trait]
impl Projection<Tx> for Wide {
    fn name(&self) -> &'static str {
        "wide"
    }

    fn filter(&self) -> Filter {
        Filter::category("account")
    }

    fn tables(&self) -> &'static [&'static str] {
        &["wide"]
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        let rows = event.data.value().unwrap()["cents"].as_i64();
        let sql = "insert into wide (account, version, nth, said) \
                   with recursive numbers (n) as (select cast(1 as bigint) \
                   union all select n + 1 from numbers where n < cast($3 as bigint)) \
                   select cast($1 as text), cast($2 as bigint), n, 'something that is copied as well' from numbers";
        let version = event.version.0;
        tx.queue(sql, params![event.stream.id(), version, rows.unwrap_or(1)]);
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.exec("delete from wide", params![]).await?;
        Ok(())
    }
}

async fn rows(db: &Db) -> i64 {
    let row = db.one("select count(*) from wide", params![]).await;
    row.unwrap().get(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_of_an_inline_one_go_on_however_many_rows_are_swapped() {
    let settings = DatabaseSettings {
        append_wait: APPEND_WAIT,
        ..DatabaseSettings::default()
    };
    let wide = Migrations::new("wide").with(1, "wide", WIDE, "drop table wide");
    for db in databases_with(&settings).await {
        let migrations = std::slice::from_ref(&wide);
        migrate(&db, migrations, Mode::Auto).await.unwrap();
        let log: Arc<dyn EventLog> = Arc::new(SqlLog::open(db.clone()).await.unwrap());
        let many = booked("account", "many", &vec![ROWS; entries(&db)]);
        log.append(many).await.unwrap();
        let projector = Projector::new(db.clone(), Arc::clone(&log), Wide);
        projector.catch_up().await.unwrap();
        let projector = projector.inline().unwrap();
        let wrong = "insert into wide values ('wrong', 1, 1, 'x')";
        db.exec(wrong, params![]).await.unwrap();

        let stop = CancellationToken::new();
        let (appends, ending) = (Arc::clone(&log), stop.clone());
        let writer = task::spawn("writer", async move {
            let (mut appended, mut longest) = (0, Duration::ZERO);
            while !ending.is_cancelled() {
                let began = Instant::now();
                let one = appends.append(booked("account", "meanwhile", &[1]));
                one.await.unwrap();
                longest = longest.max(began.elapsed());
                appended += 1;
            }
            (appended, longest)
        });
        let began = Instant::now();
        projector.rebuild().await.unwrap();
        let took = began.elapsed();
        stop.cancel();
        let (appended, longest) = writer.await.unwrap();
        eprintln!(
            "{:?}: rebuilt in {took:?}; {appended} appends, the longest {longest:?}",
            db.engine()
        );
        assert!(appended > 0);
        assert_eq!(rows(&db).await, ROWS * entries(&db) as i64 + appended);
        let status = projector.status().await.unwrap();
        assert_eq!((status.state, status.lag), (ProjectionState::Inline, 0));
    }
}

/// What the catalogue says of the table of balances, and which table it is.
async fn catalogued(db: &Db) -> (Vec<String>, i64) {
    let sql = "select indexdef from pg_indexes where schemaname = current_schema() and tablename = 'balances' \
               union all select conname || ' ' || pg_get_constraintdef(oid) from pg_constraint \
               where conrelid = cast('balances' as regclass) \
               union all select concat(attname, ' ', format_type(atttypid, atttypmod), ' ', attnotnull, ' ', attidentity) \
               from pg_attribute where attrelid = cast('balances' as regclass) and attnum > 0 and not attisdropped \
               union all select coalesce(cast(relacl as text), 'no rights') from pg_class \
               where oid = cast('balances' as regclass) order by 1";
    let rows = db.query(sql, params![]).await.unwrap();
    let said = rows.iter().map(|row| row.get(0).unwrap()).collect();
    let which = "select cast(oid as bigint) from pg_class where oid = cast('balances' as regclass)";
    let which = db.one(which, params![]).await.unwrap();
    (said, which.get(0).unwrap())
}

/// On PostgreSQL; on SQLite rows are copied.
async fn postgres() -> Option<(Db, Arc<dyn EventLog>)> {
    let all = stores().await.into_iter();
    all.into_iter()
        .find(|(db, _)| db.engine() == Engine::Postgres)
}

#[tokio::test]
async fn the_table_in_the_live_ones_place_is_as_that_one_was() {
    let Some((db, log)) = postgres().await else {
        return;
    };
    for sql in [
        "create unique index one_account on balances (account) where cents > 3",
        "create index balances_by_cents_again on balances (cents)",
        "alter table balances add column numbered bigint generated always as identity",
        "alter table balances add constraint counted check (n >= 0)",
        "alter table balances alter column cents set default 7",
    ] {
        db.exec(sql, params![]).await.unwrap();
    }
    let (projector, _) = sound(&db, &log);
    for _ in 0..3 {
        book(&log, "account", "a", 1).await;
    }
    projector.catch_up().await.unwrap();
    let (said, before) = catalogued(&db).await;
    for _ in 0..2 {
        projector.rebuild().await.unwrap();
    }
    let (still, after) = catalogued(&db).await;
    assert_ne!(before, after, "the tables did not change places");
    assert_eq!(said, still);
    book(&log, "account", "a", 1).await;
    projector.catch_up().await.unwrap();
    assert_eq!(balance(&db, "a").await, (4, 4));
    assert!(projector.verify().await.unwrap().holds());
}

#[tokio::test]
async fn a_table_that_others_rely_on_stays_and_its_rows_are_copied() {
    for relied_on in [
        "create view richest as select account from balances order by cents desc limit 1",
        "grant select on balances to public",
        "create table notes (account text references balances)",
        "comment on table balances is 'money'",
    ] {
        let Some((db, log)) = postgres().await else {
            return;
        };
        let (projector, _) = sound(&db, &log);
        book(&log, "account", "a", 1).await;
        projector.catch_up().await.unwrap();
        db.exec(relied_on, params![]).await.unwrap();
        let wrong = "insert into balances values ('wrong', 7, 0)";
        db.exec(wrong, params![]).await.unwrap();
        let before = catalogued(&db).await;
        projector.rebuild().await.unwrap();
        assert_eq!(catalogued(&db).await, before, "{relied_on}");
        assert_eq!(balance(&db, "wrong").await, (0, 0), "{relied_on}");
        assert_eq!(balance(&db, "a").await, (1, 1), "{relied_on}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_reading_the_table_ends_first() {
    let Some((db, log)) = postgres().await else {
        return;
    };
    let (projector, _) = sound(&db, &log);
    book(&log, "account", "a", 1).await;
    projector.catch_up().await.unwrap();
    let (_, before) = catalogued(&db).await;
    let reader = db.begin();
    let all = "select cents from balances";
    let seen = reader.query(all, params![]).await.unwrap();
    let rebuilding = projector.clone();
    let rebuild = task::spawn("rebuild", async move { rebuilding.rebuild().await });
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let again = reader.query(all, params![]).await.unwrap();
        assert_eq!(again.len(), seen.len());
    }
    reader.rollback().await.unwrap();
    rebuild.await.unwrap().unwrap();
    let (_, after) = catalogued(&db).await;
    assert_ne!(before, after, "the tables did not change places");
    assert_eq!(balance(&db, "a").await, (1, 1));
}
