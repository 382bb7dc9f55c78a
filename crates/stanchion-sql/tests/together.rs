//! The connections of all modules to one PostgreSQL database stay within what is said of them.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use stanchion_eventsourcing::EventLog;
use stanchion_runtime::task;
use stanchion_sql::{
    Connections, DatabaseSettings, Db, Mode, SqlLog, connections, migrate, params,
};
use stanchion_telemetry::Metrics;
use support::postgres_url;

/// Other tests of this process have databases of their own.
fn those_to(name: &str) -> Vec<Connections> {
    let mut all = connections();
    all.retain(|one| one.database.ends_with(&format!("/{name}")));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_more_are_open_than_was_said_at_the_start() {
    let Some(url) = postgres_url() else { return };
    let settings = DatabaseSettings {
        connections_max: 3,
        ..DatabaseSettings::default()
    };
    let metrics = Metrics::default();
    let mut modules = Vec::new();
    for module in ["orders", "payments"] {
        let db = Db::open(&url, module, &settings).await.unwrap();
        migrate(&db, &[], Mode::Auto).await.unwrap();
        let log = SqlLog::open(db.clone()).await.unwrap();
        db.register(&metrics);
        modules.push((db, log));
    }
    let name = "select current_database()";
    let name: String = modules[0]
        .0
        .one(name, params![])
        .await
        .unwrap()
        .get(0)
        .unwrap();
    let [said] = &those_to(&name)[..] else {
        panic!("{:?}", connections());
    };
    assert_eq!((said.modules, said.pooled_max), (2, 6));
    assert_eq!((said.writers, said.listeners, said.max()), (2, 1, 9));
    assert!(
        said.to_string().starts_with("at most 9 connections to"),
        "{said}"
    );
    assert!(!said.to_string().contains("postgres@"), "{said}");

    let mut busy = Vec::new();
    for (db, _) in &modules {
        for _ in 0..10 {
            let db = db.clone();
            busy.push(task::spawn("busy", async move {
                db.query("select pg_sleep(0.3)", params![]).await.unwrap();
            }));
        }
    }
    let all_at_work = async {
        while those_to(&name)[0].in_use < 9 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let at_work = tokio::time::timeout(Duration::from_secs(30), all_at_work).await;
    assert!(at_work.is_ok(), "{:?}", those_to(&name));
    for task in busy {
        task.await.unwrap();
        let now = those_to(&name).pop().unwrap();
        assert!(now.in_use <= now.open && now.open <= now.max(), "{now:?}");
    }
    let sql = "select count(*) from pg_stat_activity where datname = current_database() \
               and backend_type = 'client backend'";
    let server_says: i64 = modules[0]
        .0
        .one(sql, params![])
        .await
        .unwrap()
        .get(0)
        .unwrap();
    assert_eq!(server_says, 9, "what the server counts");

    // The gauges are brought up to date once a second.
    let line = |metric: &str| {
        let text = metrics.encode();
        let found = text
            .lines()
            .find(|line| line.starts_with(metric) && line.contains(&name));
        found.map(str::to_owned)
    };
    let max = "stanchion_db_server_connections_max{";
    let there = async {
        while line(max).is_none_or(|line| !line.ends_with(" 9")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), there).await;
    assert!(in_time.is_ok(), "{}", metrics.encode());
    assert!(line("stanchion_db_server_connections_in_use{").is_some());

    // A log that is gone has no writer, a closed database no connections.
    let (db, log) = modules.pop().unwrap();
    log.head().await.unwrap();
    drop(log);
    let gone = async {
        while those_to(&name)[0].writers != 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .unwrap();
    db.close().await;
    assert_eq!(those_to(&name)[0].modules, 1);
}
