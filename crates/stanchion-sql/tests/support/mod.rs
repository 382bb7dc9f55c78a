//! Every test of the facade runs on both databases.
#![allow(dead_code, unreachable_pub)]

use stanchion_sql::{DatabaseSettings, DatabaseUrl, Db};
use stanchion_testing::servers::Postgres;

/// A fresh SQLite database, and one on the shared PostgreSQL server where there is one.
pub async fn databases() -> Vec<Db> {
    databases_with(&DatabaseSettings::default()).await
}

pub async fn databases_with(settings: &DatabaseSettings) -> Vec<Db> {
    let mut all = vec![sqlite(settings).await];
    if let Some(url) = postgres_url() {
        all.push(Db::open(&url, "facade", settings).await.unwrap());
    }
    all
}

pub async fn sqlite(settings: &DatabaseSettings) -> Db {
    let folder = tempfile::tempdir().unwrap().keep();
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
