//! A replica takes over from its primary: a synchronous one loses nothing that was acknowledged; behind an asynchronous
//! one, whoever knew more than the log that is left says so and stops.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stanchion_eventsourcing::{
    Append, AppendError, EventLog, Expected, Filter, Metadata, NewEvent, Position, Projection,
    ProjectionError, Recorded, StreamId, Version,
};
use stanchion_runtime::{id, task};
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Migrations, Mode, Projector, ProjectorError, SqlLog, Tx,
    UnitOfWork, migrate, params,
};
use stanchion_testing::servers::{self, Cluster};
use tempfile::TempDir;
use uuid::Uuid;

/// Long enough for any machine; no test waits for it to pass.
const LONG: Duration = Duration::from_secs(60);

/// A primary and its replica, on folders that go with it.
struct Pair {
    primary: Cluster,
    replica: Cluster,
    _folder: TempDir,
}

impl Pair {
    /// `None` where there is no PostgreSQL.
    fn start() -> Option<Self> {
        servers::required("postgres")?;
        let folder = tempfile::tempdir().unwrap();
        let mut primary = Cluster::create(&enterable(folder.path(), "primary"), &[]).unwrap();
        primary.start().unwrap();
        let beside = enterable(folder.path(), "replica");
        let mut replica = Cluster::replica_of(&primary, &beside, &[]).unwrap();
        replica.start().unwrap();
        Some(Self {
            primary,
            replica,
            _folder: folder,
        })
    }

    /// Both of them: whoever takes writes is the one to talk to.
    fn url(&self) -> DatabaseUrl {
        let (one, other) = (self.primary.address(), self.replica.address());
        let url =
            format!("postgres://postgres@{one},{other}/postgres?target_session_attrs=read-write");
        url.parse().unwrap()
    }

    /// Commits wait for the replica from now on.
    fn synchronous(&self) {
        let set = "alter system set synchronous_standby_names = '*'";
        self.primary.sql("postgres", set).unwrap();
        self.primary
            .sql("postgres", "select pg_reload_conf()")
            .unwrap();
        self.until(
            &self.primary,
            "select 1 from pg_stat_replication where sync_state = 'sync'",
        );
    }

    /// The replica gets no more of what the primary writes; how to [`join`](Self::join) them again.
    fn cut(&self) -> String {
        let way = self.replica.sql("postgres", "show primary_conninfo");
        let way = way.unwrap().trim().to_owned();
        let caught_up = "select 1 from pg_stat_replication where replay_lsn = pg_current_wal_lsn()";
        self.until(&self.primary, caught_up);
        let set = "alter system set primary_conninfo = ''";
        self.replica.sql("postgres", set).unwrap();
        self.replica
            .sql("postgres", "select pg_reload_conf()")
            .unwrap();
        self.until(
            &self.replica,
            "select 1 where not exists (select 1 from pg_stat_wal_receiver)",
        );
        way
    }

    /// The replica gets what it missed.
    fn join(&self, way: &str) {
        let way = way.replace('\'', "''");
        let set = format!("alter system set primary_conninfo = '{way}'");
        self.replica.sql("postgres", &set).unwrap();
        self.replica
            .sql("postgres", "select pg_reload_conf()")
            .unwrap();
    }

    /// Ends whoever waits for the replica: what they wrote is there, and nobody was told.
    fn end_who_waits(&self) {
        let waits = "from pg_stat_activity where wait_event = 'SyncRep'";
        self.until(&self.primary, &format!("select 1 {waits}"));
        let end = format!("select pg_terminate_backend(pid) {waits}");
        self.primary.sql("postgres", &end).unwrap();
    }

    fn fail_over(&mut self) {
        self.primary.crash().unwrap();
        self.replica.promote().unwrap();
    }

    fn until(&self, server: &Cluster, sql: &str) {
        for _ in 0..LONG.as_millis() / 10 {
            if server
                .sql("postgres", sql)
                .is_ok_and(|rows| !rows.is_empty())
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("never: {sql}");
    }
}

/// A folder that the server's own user may enter.
fn enterable(folder: &Path, name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

async fn open(url: &DatabaseUrl) -> (Db, Arc<dyn EventLog>) {
    let settings = DatabaseSettings::default();
    let db = Db::open(url, "orders", &settings).await.unwrap();
    migrate(&db, &[], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, Arc::new(log))
}

fn append(stream: &str, expected: Expected) -> Append {
    Append {
        stream: StreamId::new("order", stream),
        expected,
        events: vec![NewEvent {
            id: id::new_v7(),
            kind: "placed".into(),
            data: json!({}).into(),
        }],
        inbox: None,
        timers: Vec::new(),
        metadata: Metadata::new(None),
    }
}

/// Appends one, with the same id until the log says what became of it.
async fn put(log: &dyn EventLog, one: Append) -> (Uuid, Version) {
    let id = one.events[0].id;
    let answered = tokio::time::timeout(LONG, async {
        loop {
            match log.append(one.clone()).await {
                Ok(appended) => return appended.version.unwrap(),
                Err(
                    AppendError::Unknown | AppendError::Unavailable(_) | AppendError::Overloaded,
                ) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    (id, answered.await.unwrap())
}

/// All entries of the log; positions and versions have no hole.
async fn entries(log: &dyn EventLog) -> Vec<Recorded> {
    let all = Filter::all();
    let mut entries: Vec<Recorded> = Vec::new();
    loop {
        let after = entries.last().map_or(Position::START, |last| last.position);
        let page = log.read(after, &all, 5_000).await.unwrap();
        if page.is_empty() {
            break;
        }
        entries.extend(page);
    }
    let mut versions = std::collections::HashMap::<_, i64>::new();
    for (entry, position) in entries.iter().zip(1..) {
        assert_eq!(entry.position, Position(position), "a hole");
        let next = versions.entry(entry.stream.clone()).or_insert(0);
        assert_eq!(entry.version, Version(*next), "a hole in {}", entry.stream);
        *next += 1;
    }
    entries
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_replica_takes_over_without_a_loss_and_the_writers_go_on() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let (db, log) = open(&pair.url()).await;
    pair.synchronous();
    let over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for writer in 0..8 {
        let (log, over, done) = (Arc::clone(&log), Arc::clone(&over), Arc::clone(&done));
        writers.push(task::spawn("writer", async move {
            let mut acknowledged = Vec::new();
            let mut expected = Expected::NoStream;
            while !over.load(Ordering::Relaxed) {
                let one = append(&writer.to_string(), expected);
                let (id, version) = put(&*log, one).await;
                // Nobody else writes here: its versions follow one another, over the failover as well.
                assert_eq!(version, Version(acknowledged.len() as i64));
                expected = Expected::Exact(version);
                acknowledged.push(id);
                done.fetch_add(1, Ordering::Relaxed);
            }
            acknowledged
        }));
    }
    let reached = async |more: usize| {
        let goal = done.load(Ordering::Relaxed) + more;
        let so = tokio::time::timeout(LONG, async {
            while done.load(Ordering::Relaxed) < goal {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        so.await.unwrap();
    };
    reached(400).await;
    let (primary, before) = (pair.primary.address(), done.load(Ordering::Relaxed));
    let pair = task::blocking("failover", move || {
        pair.fail_over();
        pair
    });
    let pair = pair.await.unwrap();
    reached(400).await;
    over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    eprintln!(
        "{before} acknowledged by {primary}, {} in all",
        acknowledged.len()
    );
    let entries = entries(&*log).await;
    let there: std::collections::HashSet<Uuid> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(there.len(), entries.len(), "none is there twice");
    assert!(
        acknowledged.iter().all(|id| there.contains(id)),
        "none is lost"
    );
    assert_eq!(there.len(), acknowledged.len(), "none is left over");
    db.close().await;
    drop(pair);
}

/// How long nothing may be answered while the replica is away.
const AWAY: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_rests_on_an_earlier_commit_waits_for_the_replica_as_well() {
    let Some(pair) = Pair::start() else {
        return;
    };
    let (db, log) = open(&pair.url()).await;
    put(&*log, append("before", Expected::NoStream)).await;
    pair.synchronous();
    let way = pair.cut();
    let one = append("1", Expected::NoStream);
    let mut repeated = {
        let (log, one) = (Arc::clone(&log), one.clone());
        task::spawn("append", async move { put(&*log, one).await.1 })
    };
    pair.end_who_waits();
    let visible = "select 1 from orders.event where position = 2";
    pair.until(&pair.primary, visible);
    let mut recorded = {
        let db = db.clone();
        task::spawn("unit of work", async move {
            let mut work = UnitOfWork::begin(&db);
            work.append(one);
            work.commit().await
        })
    };
    // Both find it there already, and where it is now it may still be lost.
    let answered = tokio::time::timeout(AWAY, &mut repeated).await;
    assert!(answered.is_err(), "the append was answered: {answered:?}");
    let answered = tokio::time::timeout(Duration::ZERO, &mut recorded).await;
    assert!(answered.is_err(), "the unit was answered: {answered:?}");
    pair.join(&way);
    let repeated = tokio::time::timeout(LONG, repeated).await.unwrap();
    assert_eq!(repeated.unwrap(), Version(0));
    let recorded = tokio::time::timeout(LONG, recorded).await.unwrap().unwrap();
    // It may have given up meanwhile, but not have called it done.
    if let Ok(recorded) = recorded {
        assert_eq!(recorded.position, Some(Position(2)));
    }
    assert_eq!(entries(&*log).await.len(), 2);
    db.close().await;
}

/// Counts entries, in a store of its own that does not fail over.
struct Counted;

#[async_trait]
impl Projection<Tx> for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn filter(&self) -> Filter {
        Filter::all()
    }

    fn tables(&self) -> &'static [&'static str] {
        &["counted"]
    }

    async fn apply(&self, tx: &mut Tx, event: &Recorded) -> Result<(), ProjectionError> {
        let sql = "insert into counted (id) values ($1)";
        tx.queue(sql, params![event.id]);
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.exec("delete from counted", params![]).await?;
        Ok(())
    }
}

async fn follower(log: &Arc<dyn EventLog>) -> (Db, Projector) {
    let db = support::sqlite(&DatabaseSettings::default()).await;
    let tables = Migrations::new("follower").with(
        1,
        "counted",
        "create table counted (id uuid primary key)",
        "drop table counted",
    );
    migrate(&db, &[tables], Mode::Auto).await.unwrap();
    let projector = Projector::new(db.clone(), Arc::clone(log), Counted);
    (db, projector)
}

async fn count(db: &Db) -> i64 {
    let row = db.one("select count(*) from counted", params![]).await;
    row.unwrap().get(0).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_lagging_replica_the_log_goes_back_and_whoever_knew_more_stops_until_it_is_rebuilt()
 {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let (db, log) = open(&pair.url()).await;
    let (rows, projector) = follower(&log).await;
    // Who follows is handed over what this process appends: that must not vouch for it afterwards.
    let _followed = log.changes();
    for n in 0..10 {
        put(&*log, append(&n.to_string(), Expected::NoStream)).await;
    }
    pair.cut();
    // Acknowledged by the primary alone: what a synchronous replica is for.
    for n in 5..15 {
        let expected = if n < 10 {
            Expected::Exact(Version(0))
        } else {
            Expected::NoStream
        };
        put(&*log, append(&n.to_string(), expected)).await;
    }
    assert_eq!(projector.catch_up().await.unwrap(), Position(20));
    let pair = task::blocking("failover", move || {
        pair.fail_over();
        pair
    });
    let _pair = pair.await.unwrap();

    // The log is shorter than the follower's checkpoint.
    assert_eq!(entries_soon(&log).await.len(), 10, "the tail is lost");
    let stopped = projector.catch_up().await.unwrap_err();
    assert!(
        matches!(stopped, ProjectorError::Checkpoint(_)),
        "{stopped}"
    );

    // What this process remembered of the lost tail is not believed: the versions are given anew, without a hole.
    let (_, version) = put(&*log, append("7", Expected::Exact(Version(0)))).await;
    assert_eq!(version, Version(1));
    let (_, version) = put(&*log, append("12", Expected::NoStream)).await;
    assert_eq!(version, Version(0));
    for n in 100..120 {
        put(&*log, append(&n.to_string(), Expected::NoStream)).await;
    }

    // The log is longer again, with other entries at the same positions: still noticed, nothing is skipped in silence.
    let again = Projector::new(rows.clone(), Arc::clone(&log), Counted);
    let stopped = again.catch_up().await.unwrap_err();
    assert!(
        matches!(stopped, ProjectorError::Checkpoint(_)),
        "{stopped}"
    );
    assert_eq!(count(&rows).await, 20, "the rows are as they were");
    assert_eq!(again.rebuild().await.unwrap(), Position(32));
    assert_eq!(count(&rows).await, 32);
    assert_eq!(entries(&*log).await.len(), 32);
    db.close().await;
}

/// Reads fail until the pool has found the server that took over.
async fn entries_soon(log: &Arc<dyn EventLog>) -> Vec<Recorded> {
    let reached = tokio::time::timeout(LONG, async {
        while log.head().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    reached.await.unwrap();
    entries(&**log).await
}
