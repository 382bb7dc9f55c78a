//! Inline: the transaction that appends an entry applies it, or neither happened.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use stanchion_eventsourcing::{AppendError, EventLog, Position, ProjectionState, Version};
use stanchion_runtime::task;
use stanchion_sql::{
    DatabaseSettings, DatabaseUrl, Db, Migrations, Mode, Projector, ProjectorError, SqlLog,
    UnitOfWork, WorkError, migrate, params,
};
use stanchion_testing::proxy::Cut;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accounts::{
    BALANCES, Balances, Knobs, LONG, balance, book, booked, projector, sound, stores, until,
};
use crate::support::{postgres_url, proxied};

/// Inline, and never failing.
fn inline(db: &Db, log: &Arc<dyn EventLog>) -> (Projector, Arc<Knobs>) {
    let (projector, knobs) = sound(db, log);
    (projector.inline().unwrap(), knobs)
}

fn unit(db: &Db, account: &str, cents: &[i64]) -> UnitOfWork {
    let mut work = UnitOfWork::begin(db);
    let sql = "insert into lease (name, holder, token, expires_at) values ($1, $2, 1, $3)";
    let (id, now) = (
        stanchion_runtime::id::new_v7(),
        stanchion_runtime::clock::now(),
    );
    work.queue(sql, params![format!("own row {id}"), id, now]);
    work.append(booked("account", account, cents));
    work
}

async fn own_rows(db: &Db) -> i64 {
    let sql = "select count(*) from lease where name like 'own row %'";
    db.one(sql, params![]).await.unwrap().get(0).unwrap()
}

#[tokio::test]
async fn once_an_append_is_acknowledged_the_rows_have_it() {
    for (db, log) in stores().await {
        let (projector, knobs) = inline(&db, &log);
        let appended = log.append(booked("account", "a", &[1, 2])).await.unwrap();
        assert_eq!(
            (appended.position, appended.version),
            (Position(2), Some(Version(1)))
        );
        assert_eq!(balance(&db, "a").await, (3, 2));
        let committed = unit(&db, "a", &[4]).commit().await.unwrap();
        assert_eq!(committed.position, Some(Position(3)));
        assert_eq!((balance(&db, "a").await, own_rows(&db).await), ((7, 3), 1));
        // What it does not want goes the usual way, and leaves it where it is: behind nothing.
        book(&log, "other", "a", 1).await;
        let status = projector.status().await.unwrap();
        assert_eq!((status.state, status.lag), (ProjectionState::Inline, 0));
        assert_eq!((status.position, status.head), (Position(3), Position(4)));
        let now = Instant::now();
        projector.wait_for(Position(4), now + LONG).await.unwrap();
        assert_eq!(knobs.live.load(Ordering::SeqCst), 3);
        assert!(projector.verify().await.unwrap().holds());
    }
}

#[tokio::test]
async fn the_same_events_again_are_applied_once_and_answered_the_same() {
    for (db, log) in stores().await {
        let (_projector, _) = inline(&db, &log);
        let append = booked("account", "a", &[1, 2]);
        let first = log.append(append.clone()).await.unwrap();
        book(&log, "account", "b", 1).await;
        assert_eq!(log.append(append.clone()).await.unwrap(), first);
        let mut work = UnitOfWork::begin(&db);
        work.append(append);
        assert_eq!(work.commit().await.unwrap().position, Some(first.position));
        assert_eq!(balance(&db, "a").await, (3, 2));
    }
}

#[tokio::test]
async fn what_the_projection_refuses_is_not_appended_at_all() {
    for (db, log) in stores().await {
        for queued in [true, false] {
            let (projector, knobs) = projector(&db, &log, queued);
            let projector = projector.parking_poison().inline().unwrap();
            book(&log, "account", "a", 1).await;
            let before = (log.head().await.unwrap(), balance(&db, "a").await);
            for (cents, panics) in [(-1, false), (-1, true), (2_000_000, false)] {
                knobs.panics.store(panics, Ordering::SeqCst);
                let refused = log.append(booked("account", "a", &[5, cents])).await;
                let refused = refused.unwrap_err();
                assert!(matches!(refused, AppendError::Invalid(_)), "{refused}");
                let refused = unit(&db, "a", &[5, cents]).commit().await.unwrap_err();
                assert!(!refused.is_retryable(), "{refused}");
            }
            assert_eq!((log.head().await.unwrap(), balance(&db, "a").await), before);
            assert_eq!(own_rows(&db).await, 0);
            assert_eq!(projector.status().await.unwrap().parked, 0);
            // Nothing of it stays behind: the next one is like any other.
            book(&log, "account", "a", 1).await;
            assert!(projector.verify().await.unwrap().holds());
        }
    }
}

#[tokio::test]
async fn a_conflict_is_told_as_on_any_log_and_leaves_the_rows_alone() {
    for (db, log) in stores().await {
        let (_projector, _) = inline(&db, &log);
        book(&log, "account", "a", 1).await;
        let mut late = booked("account", "a", &[1]);
        late.expected = stanchion_eventsourcing::Expected::NoStream;
        let refused = log.append(late.clone()).await.unwrap_err();
        let wanted = Some(Version(0));
        assert!(
            matches!(refused, AppendError::Conflict { actual } if actual == wanted),
            "{refused}"
        );
        let mut work = UnitOfWork::begin(&db);
        work.append(late);
        let refused = work.commit().await.unwrap_err();
        assert!(
            matches!(refused, WorkError::Log(AppendError::Conflict { .. })),
            "{refused}"
        );
        assert_eq!(balance(&db, "a").await, (1, 1));
    }
}

#[tokio::test]
async fn what_came_another_way_is_applied_before() {
    for (db, log) in stores().await {
        let append = booked("account", "a", &[1; 1_000]);
        log.append(append).await.unwrap();
        let (projector, _) = inline(&db, &log);
        book(&log, "account", "a", 1).await;
        assert_eq!(balance(&db, "a").await, (1_001, 1_001));
        assert_eq!(projector.catch_up().await.unwrap(), Position(1_001));
        assert_eq!(balance(&db, "a").await, (1_001, 1_001));
    }
}

#[tokio::test]
async fn far_behind_it_takes_nothing_until_it_is_caught_up() {
    for (db, log) in stores().await {
        // One more than a transaction applies beside its own.
        for some in [600, 401] {
            let append = booked("account", "a", &vec![1; some]);
            log.append(append).await.unwrap();
        }
        let (projector, _) = inline(&db, &log);
        let refused = log.append(booked("account", "a", &[1])).await.unwrap_err();
        let said = refused.to_string();
        assert!(
            matches!(refused, AppendError::Unavailable(_)) && said.contains("behind"),
            "{said}"
        );
        assert_eq!(log.head().await.unwrap(), Position(1_001));
        // What it does not want is none of its business.
        book(&log, "other", "a", 1).await;
        projector.catch_up().await.unwrap();
        book(&log, "account", "a", 1).await;
        assert_eq!(balance(&db, "a").await, (1_002, 1_002));
    }
}

#[tokio::test]
async fn poison_from_elsewhere_halts_it_and_the_appends_it_wants() {
    for (db, log) in stores().await {
        book(&log, "account", "a", -1).await;
        let (projector, knobs) = projector(&db, &log, true);
        let projector = projector.inline().unwrap();
        let refused = log.append(booked("account", "b", &[1])).await.unwrap_err();
        assert!(matches!(refused, AppendError::Unavailable(_)), "{refused}");
        let stop = CancellationToken::new();
        let running = task::spawn("projector", projector.clone().run(stop.clone()));
        until("who runs it says so", async || {
            projector.status().await.unwrap().state == ProjectionState::Halted
        })
        .await;
        // The way out that is always there: without it.
        projector.pause().await.unwrap();
        book(&log, "account", "b", 1).await;
        assert_eq!(balance(&db, "b").await, (0, 0));
        assert!(projector.resume().await.is_err(), "it still cannot go on");
        knobs.poisoned.store(false, Ordering::SeqCst);
        projector.resume().await.unwrap();
        assert_eq!(balance(&db, "b").await, (1, 1));
        book(&log, "account", "b", 1).await;
        assert_eq!(balance(&db, "b").await, (2, 2));
        until("the halt is over", async || {
            projector.status().await.unwrap().state == ProjectionState::Inline
        })
        .await;
        stop.cancel();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn followed_and_inline_are_the_same_projection() {
    for (db, log) in stores().await {
        let (followed, _) = sound(&db, &log);
        book(&log, "account", "a", 1).await;
        followed.catch_up().await.unwrap();
        let (projector, _) = inline(&db, &log);
        book(&log, "account", "a", 1).await;
        assert_eq!(followed.catch_up().await.unwrap(), Position(2));
        assert_eq!(balance(&db, "a").await, (2, 2));
        assert!(projector.verify().await.unwrap().holds());
        assert!(followed.verify().await.unwrap().holds());
    }
}

#[tokio::test]
async fn what_never_began_on_another_log_is_nothing_to_go_on_from() {
    for (db, log) in stores().await {
        let sql = "insert into checkpoint (name, log, position, at) \
                   values ('projection/balances', $1, 0, $2)";
        let (other, now) = (
            stanchion_runtime::id::new_v7(),
            stanchion_runtime::clock::now(),
        );
        db.exec(sql, params![other, now]).await.unwrap();
        let (projector, _) = inline(&db, &log);
        for _ in 0..2 {
            book(&log, "account", "a", 1).await;
        }
        assert_eq!(balance(&db, "a").await, (2, 2));
        assert!(projector.verify().await.unwrap().holds());
    }
}

#[tokio::test]
async fn a_log_of_another_database_cannot_be_inline() {
    let stores = stores().await;
    let (db, log) = (Db::memory("other").unwrap(), &stores[0].1);
    let refused = sound(&db, log).0.inline().err().unwrap();
    assert!(matches!(refused, ProjectorError::Refused(_)), "{refused}");
}

/// Appends one cent again and again until told to stop; how many were acknowledged.
fn writer(log: &Arc<dyn EventLog>, account: &str, stop: &CancellationToken) -> task::Task<i64> {
    let (log, account, stop) = (Arc::clone(log), account.to_owned(), stop.clone());
    task::spawn("writer", async move {
        let mut acknowledged = 0;
        while !stop.is_cancelled() {
            log.append(booked("account", &account, &[1])).await.unwrap();
            acknowledged += 1;
        }
        acknowledged
    })
}

/// As a process of its own opens it.
async fn opened(url: &DatabaseUrl) -> (Db, Arc<dyn EventLog>) {
    let settings = DatabaseSettings::default();
    let db = Db::open(url, "facade", &settings).await.unwrap();
    let balances = Migrations::new("accounts").with(1, "balances", BALANCES, "drop table balances");
    migrate(&db, &[balances], Mode::Auto).await.unwrap();
    let log = SqlLog::open(db.clone()).await.unwrap();
    (db, Arc::new(log))
}

async fn rebuilt_under_appends(first: (Db, Arc<dyn EventLog>), second: (Db, Arc<dyn EventLog>)) {
    let (db, log) = &first;
    let stop = CancellationToken::new();
    let (projector, knobs) = inline(db, log);
    let (_other, _) = inline(&second.0, &second.1);
    let mut writers = vec![writer(log, "a", &stop), writer(log, "b", &stop)];
    writers.push(writer(&second.1, "a", &stop));
    until("something is there", async || balance(db, "a").await.1 > 20).await;
    let wrong = "insert into balances values ('wrong', 7, 0)";
    db.exec(wrong, params![]).await.unwrap();
    projector.rebuild().await.unwrap();
    assert_eq!(balance(db, "wrong").await, (0, 0));
    projector.rebuild().await.unwrap();
    assert!(knobs.replayed.load(Ordering::SeqCst) > 20);
    stop.cancel();
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += writer.await.unwrap();
    }
    let (a, b) = (balance(db, "a").await, balance(db, "b").await);
    assert_eq!((a.0 + b.0, a.1 + b.1), (acknowledged, acknowledged));
    assert_eq!(log.head().await.unwrap(), Position(acknowledged));
    let verified = projector.verify().await.unwrap();
    assert!(verified.holds() && verified.rows == 2, "{verified:?}");
    assert_eq!(projector.status().await.unwrap().lag, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_rebuilt_beside_its_appends_and_none_is_refused() {
    for (db, log) in stores().await {
        rebuilt_under_appends((db.clone(), Arc::clone(&log)), (db, log)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_beside_the_appends_of_another_process() {
    let Some(url) = postgres_url() else { return };
    let mut both = vec![opened(&url).await, opened(&url).await];
    let second = both.pop().unwrap();
    rebuilt_under_appends(both.pop().unwrap(), second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_away_and_whenever_rows_and_log_agree() {
    for (db, log) in stores().await {
        let (projector, _) = inline(&db, &log);
        for n in 0..60u64 {
            let (log, db) = (Arc::clone(&log), db.clone());
            let going = task::spawn("goes", async move {
                match n % 2 {
                    0 => log
                        .append(booked("account", "a", &[1; 3]))
                        .await
                        .map(drop)
                        .ok(),
                    _ => unit(&db, "a", &[1; 3]).commit().await.map(drop).ok(),
                }
            });
            tokio::time::sleep(Duration::from_micros(n * n % 2_000)).await;
            going.abort();
            let _ = going.await;
        }
        // Waits for those that go on without their callers.
        book(&log, "account", "z", 1).await;
        let head = log.head().await.unwrap();
        let (cents, n) = balance(&db, "a").await;
        assert_eq!((cents, n), (n, head.0 - 1));
        assert!(projector.verify().await.unwrap().holds());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_commit_is_cut_off_is_there_once_with_its_rows() {
    let Some((_, through, proxy)) = proxied() else {
        return;
    };
    let (db, log) = opened(&through).await;
    let (projector, _) = inline(&db, &log);
    let mut booked_so_far = 0;
    for cut in [Cut::Tail(3), Cut::Tail(0), Cut::Reply(0), Cut::Reply(6)] {
        book(&log, "account", "a", 1).await;
        proxy.cut(cut, b"commit");
        let appended = log.append(booked("account", "a", &[1])).await.unwrap();
        assert!(!proxy.armed(), "no commit was seen");
        booked_so_far += 2;
        assert_eq!(appended.position, Position(booked_so_far));
        assert_eq!(appended.version, Some(Version(booked_so_far - 1)));
    }
    assert_eq!(log.head().await.unwrap(), Position(booked_so_far));
    assert_eq!(balance(&db, "a").await, (booked_so_far, booked_so_far));
    assert!(projector.verify().await.unwrap().holds());
}

/// The second sums up the same entries elsewhere.
struct Copied(Balances);

#[async_trait::async_trait]
impl stanchion_eventsourcing::Projection<stanchion_sql::Tx> for Copied {
    fn name(&self) -> &'static str {
        "copied"
    }

    fn filter(&self) -> stanchion_eventsourcing::Filter {
        stanchion_eventsourcing::Filter::all()
    }

    async fn apply(
        &self,
        tx: &mut stanchion_sql::Tx,
        event: &stanchion_eventsourcing::Recorded,
    ) -> Result<(), stanchion_eventsourcing::ProjectionError> {
        let sql = "insert into lease (name, holder, token, expires_at) values ($1, $2, $3, $4)";
        let name = format!("copied {}", event.position);
        tx.queue(sql, params![name, event.id, event.version.0, event.at]);
        if self.0.knobs.poisoned.load(Ordering::SeqCst) {
            let reason = "the second one refuses".into();
            return Err(stanchion_eventsourcing::ProjectionError::Poison(reason));
        }
        Ok(())
    }

    async fn reset(
        &self,
        tx: &mut stanchion_sql::Tx,
    ) -> Result<(), stanchion_eventsourcing::ProjectionError> {
        tx.queue("delete from lease where name like 'copied %'", params![]);
        Ok(())
    }
}

#[tokio::test]
async fn two_of_them_move_together_or_not_at_all() {
    for (db, log) in stores().await {
        let (_first, _) = inline(&db, &log);
        let copied = Balances::default();
        let knobs = Arc::clone(&copied.knobs);
        let second = Projector::new(db.clone(), Arc::clone(&log), Copied(copied));
        let _second = second.inline().unwrap();
        let copies = async || {
            let sql = "select count(*) from lease where name like 'copied %'";
            db.one(sql, params![]).await.unwrap().get::<i64>(0).unwrap()
        };
        book(&log, "account", "a", 1).await;
        book(&log, "other", "a", 1).await;
        assert_eq!((balance(&db, "a").await, copies().await), ((1, 1), 2));
        knobs.poisoned.store(true, Ordering::SeqCst);
        let refused = log.append(booked("account", "a", &[1])).await.unwrap_err();
        assert!(refused.to_string().contains("`copied`"), "{refused}");
        assert_eq!((balance(&db, "a").await, copies().await), ((1, 1), 2));
        assert_eq!(log.head().await.unwrap(), Position(2));
    }
}
