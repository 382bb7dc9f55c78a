//! Migrations on both databases.
#![allow(clippy::unwrap_used)]

mod support;

use stanchion_runtime::task;
use stanchion_sql::{
    Db, MigrateError, Migrations, Mode, assert_down_restores, migrate, migrate_down, params,
};
use support::databases;

fn stock() -> Migrations {
    Migrations::new("inventory")
        .with(
            1,
            "stock",
            "-- A comment; with a semicolon.\ncreate table stock (sku text primary key, free bigint not null);\ninsert into stock values ('a;\n', 1);",
            "drop table stock;",
        )
        .with(
            2,
            "reserved",
            "alter table stock add column reserved bigint not null default 0; create index stock_free on stock (free);",
            "drop index stock_free; alter table stock drop column reserved;",
        )
}

async fn columns(db: &Db) -> usize {
    let rows = db.query("select * from stock", params![]).await.unwrap();
    rows[0].columns().len()
}

#[tokio::test]
async fn steps_are_taken_once_and_in_order() {
    for db in databases().await {
        let first = migrate(&db, &[stock()], Mode::Auto).await.unwrap();
        assert_eq!(first.applied.last().unwrap(), "inventory/0002 reserved");
        assert_eq!(columns(&db).await, 3);
        let second = migrate(&db, &[stock()], Mode::Auto).await.unwrap();
        assert!(second.applied.is_empty());
        assert_eq!(second.present, first.applied.len());
        assert_eq!(
            migrate_down(&db, &stock(), 1).await.unwrap(),
            ["inventory/0002 reserved"]
        );
        assert_eq!(columns(&db).await, 2);
    }
}

#[tokio::test]
async fn checking_changes_nothing_and_names_what_is_missing() {
    for db in databases().await {
        let missing = migrate(&db, &[stock()], Mode::Check).await.unwrap_err();
        assert!(
            missing.to_string().contains("inventory/0001 stock"),
            "{missing}"
        );
        assert!(
            db.query("select * from stanchion_migrations", params![])
                .await
                .is_err()
        );
        migrate(&db, &[stock()], Mode::Auto).await.unwrap();
        migrate(&db, &[stock()], Mode::Check).await.unwrap();
    }
}

#[tokio::test]
async fn an_edited_step_is_refused_before_anything_is_taken() {
    for db in databases().await {
        migrate(&db, &[stock()], Mode::Auto).await.unwrap();
        let edited = Migrations::new("inventory")
            .with(
                1,
                "stock",
                "create table stock (sku text)",
                "drop table stock",
            )
            .with(
                2,
                "reserved",
                stock().steps()[1].up,
                stock().steps()[1].down,
            )
            .with(3, "more", "create table more (a text)", "drop table more");
        let refused = migrate(&db, &[edited], Mode::Auto).await;
        assert!(
            matches!(refused, Err(MigrateError::Changed(_))),
            "{refused:?}"
        );
        assert!(db.query("select * from more", params![]).await.is_err());
    }
}

#[tokio::test]
async fn a_failing_step_leaves_nothing_and_keeps_the_earlier_ones() {
    for db in databases().await {
        let broken = stock().with(
            3,
            "broken",
            "create table half (a text); insert into nowhere values (1);",
            "",
        );
        let failed = migrate(&db, &[broken], Mode::Auto).await.unwrap_err();
        assert!(
            failed.to_string().contains("inventory/0003 broken"),
            "{failed}"
        );
        assert!(db.query("select * from half", params![]).await.is_err());
        assert_eq!(columns(&db).await, 3);
        migrate(&db, &[stock()], Mode::Check).await.unwrap();
    }
}

#[tokio::test]
async fn a_newer_binarys_steps_are_reported_and_let_be() {
    for db in databases().await {
        let newer = stock().with(3, "more", "create table more (a text)", "drop table more");
        migrate(&db, &[newer], Mode::Auto).await.unwrap();
        let report = migrate(&db, &[stock()], Mode::Check).await.unwrap();
        assert_eq!(report.unknown, ["inventory/0003 more"]);
    }
}

#[tokio::test]
async fn numbers_without_order_and_scopes_twice_are_refused() {
    let db = Db::memory("inventory").unwrap();
    let gap = Migrations::new("inventory").with(2, "stock", "", "");
    assert!(matches!(
        migrate(&db, &[gap], Mode::Auto).await,
        Err(MigrateError::Numbering(_))
    ));
    let twice = migrate(&db, &[stock(), stock()], Mode::Auto).await;
    assert!(matches!(twice, Err(MigrateError::Numbering(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_together_take_each_step_once() {
    for db in databases().await {
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let db = db.clone();
                task::spawn("migrate", async move {
                    migrate(&db, &[stock()], Mode::Auto).await
                })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            applied += task.await.unwrap().unwrap().applied.len();
        }
        let own = Migrations::of_the_log(db.engine());
        assert_eq!(applied, own.steps().len() + 2);
    }
}

#[tokio::test]
async fn down_files_undo_up_files() {
    for db in databases().await {
        assert_down_restores(&db, &stock()).await;
    }
}

#[tokio::test]
#[should_panic = "do not undo"]
async fn a_down_file_that_forgets_something_is_found() {
    let db = Db::memory("inventory").unwrap();
    let forgetful = Migrations::new("inventory").with(
        1,
        "stock",
        "create table if not exists stock (a text)",
        "select 1",
    );
    assert_down_restores(&db, &forgetful).await;
}
