//! Every step of every context's schema, on both databases.

use stanchion::sql::{DatabaseSettings, DatabaseUrl, Db, Migrations, assert_down_restores, lint};
use stanchion_testing::servers;

fn all() -> [Migrations; 4] {
    [
        shop_identity::migrations(),
        shop_inventory::migrations(),
        shop_orders::migrations(),
        shop_payments::migrations(),
    ]
}

#[test]
fn a_running_older_shop_trips_over_none() {
    for migrations in all() {
        for step in migrations.steps() {
            let (scope, number) = (migrations.scope(), step.number);
            assert_eq!(lint(step.up), [], "{scope}/{number:04} {}", step.name);
        }
    }
}

#[tokio::test]
async fn each_can_be_taken_back_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    take_back_all(&DatabaseUrl::sqlite(folder.path())).await;
}

#[tokio::test]
async fn each_can_be_taken_back_on_postgres() {
    if let Some(url) = servers::required("postgres") {
        take_back_all(&url.parse().unwrap()).await;
    }
}

async fn take_back_all(url: &DatabaseUrl) {
    for migrations in all() {
        let settings = DatabaseSettings::default();
        let db = Db::open(url, migrations.scope(), &settings).await.unwrap();
        assert_down_restores(&db, &migrations).await;
        db.close().await;
    }
}
