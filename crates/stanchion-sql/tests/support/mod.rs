//! Every test of the facade runs on both databases.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::Ipv4Addr;

use stanchion_runtime::id;
use stanchion_sql::tokio_postgres::Config;
use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db, Mode, Query, Value, migrate, params};
use stanchion_testing::proxy::FaultProxy;
use stanchion_testing::servers::Postgres;

/// A fresh SQLite database, and one on the shared PostgreSQL server where there is one.
pub async fn databases() -> Vec<Db> {
    databases_with(&DatabaseSettings::default()).await
}

/// The same with the tables that every store has.
pub async fn migrated() -> Vec<Db> {
    let all = databases().await;
    for db in &all {
        migrate(db, &[], Mode::Auto).await.unwrap();
    }
    all
}

pub async fn databases_with(settings: &DatabaseSettings) -> Vec<Db> {
    let mut all = vec![sqlite(settings).await];
    if let Some(url) = postgres_url() {
        all.push(Db::open(&url, "facade", settings).await.unwrap());
    }
    all
}

pub async fn sqlite(settings: &DatabaseSettings) -> Db {
    // Left in the target folder: the database outlives this function.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap()
        .keep();
    Db::open(&DatabaseUrl::sqlite(folder), "facade", settings)
        .await
        .unwrap()
}

/// A new database on the shared server.
pub fn postgres_url() -> Option<DatabaseUrl> {
    if !Postgres::available() {
        eprintln!(
            "SKIPPED on PostgreSQL: no server (set STANCHION_TEST_POSTGRES or install postgresql)"
        );
        return None;
    }
    let server = Postgres::shared().unwrap();
    Some(server.fresh_database().unwrap().parse().unwrap())
}

/// A new database on the shared server, how it is reached through a proxy, and the proxy.
pub fn proxied() -> Option<(DatabaseUrl, DatabaseUrl, FaultProxy)> {
    let url = postgres_url()?;
    // The password is not shown; the test server trusts.
    let config: Config = url.to_string().replace(":***", "").parse().unwrap();
    let port = config.get_ports().first().copied().unwrap_or(5_432);
    let proxy = FaultProxy::start((Ipv4Addr::LOCALHOST, port).into()).unwrap();
    let (user, database) = (config.get_user().unwrap(), config.get_dbname().unwrap());
    let through = format!("postgres://{user}@{}/{database}", proxy.address());
    Some((url, through.parse().unwrap(), proxy))
}

pub const TABLE: &str = "create table thing (
    id uuid primary key, name text not null, number bigint, real double precision, flag boolean,
    doc json, bytes bytea, at timestamptz)";

pub async fn names(db: &impl Query) -> Vec<String> {
    let rows = db
        .query("select name from thing order by name", params![])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

pub fn insert(name: &str) -> (&'static str, Vec<Value>) {
    (
        "insert into thing (id, name) values ($1, $2)",
        params![id::new_v7(), name],
    )
}
