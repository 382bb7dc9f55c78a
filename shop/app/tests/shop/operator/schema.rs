//! `shop migrate`, and what a start says to a schema that is not its own.

use std::path::Path;

use stanchion_testing::process::Launch;
use stanchion_testing::servers;

use crate::support::{Operated, Shop, launch, operate};

#[tokio::test]
async fn an_embedded_shop_is_migrated_checked_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| operate(place(folder.path(), &[]), arguments).await;

    let told = run(&["migrate", "--check"]).await.expect(1);
    told.says(&[
        "there is no store of identity",
        "there is no store of payments",
    ]);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a check makes nothing"
    );

    let done = run(&["migrate"]).await.expect(0);
    done.says(&[
        "identity: applied",
        "applied identity/0001 users",
        "payments/0002 ledger_entries",
    ]);
    let again = run(&["migrate"]).await.expect(0);
    assert_eq!(again.out.matches(" 0 applied").count(), 4, "{}", again.out);
    run(&["migrate", "--check"]).await.expect(0);

    let down = run(&["migrate", "--down", "1", "--modules", "payments"])
        .await
        .expect(0);
    assert_eq!(
        down.out,
        "payments: taken back payments/0002 ledger_entries\n"
    );
    let told = run(&["migrate", "--check"]).await.expect(1);
    told.says(&[
        "identity: 0 applied",
        "payments: missing migrations: payments/0002 ledger_entries",
        "`migrate`",
    ]);
    started_with_check_is_told(place(
        folder.path(),
        &[("SHOP__DATABASE__MIGRATE", "check")],
    ))
    .await;
}

#[tokio::test]
async fn a_running_embedded_shop_can_be_checked_and_not_migrated() {
    let shop = Shop::start().await;
    let check = shop.operate(&["migrate", "--check"]).await.expect(0);
    assert_eq!(check.out.matches(" 0 applied").count(), 4, "{}", check.out);
    let told = shop.operate(&["migrate", "--down", "1"]).await.expect(1);
    told.says(&["open in another process", "payments"]);
    shop.operate(&["migrate", "--check"]).await.expect(0);
}

#[tokio::test]
async fn on_postgres_a_start_changes_no_schema_unless_told_to() {
    let Some(url) = servers::required("postgres") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("SHOP__DATABASE__URL", url.as_str()),
        (
            "SHOP__SERVER__SECRET",
            "of replicas: thirty-two bytes and more",
        ),
        ("SHOP__SERVER__LISTEN", "127.0.0.1:0"),
        ("SHOP__ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let run = async |arguments: &[&str]| operate(place(folder.path(), &settings), arguments).await;
    let told = run(&["migrate", "--check"]).await.expect(1);
    told.says(&[
        "missing migrations",
        "identity/0001 users",
        "payments/0002 ledger_entries",
    ]);
    let told = run(&[]).await.expect(1);
    told.says(&["SHOP__IDENTITY__KEY_ENCRYPTION_KEY must be set"]);
    let told = run(&["log", "status"]).await.expect(1);
    told.says(&["missing migrations", "`migrate`"]);
    run(&["migrate"]).await.expect(0);
    run(&["migrate", "--check"]).await.expect(0);
    let told = run(&["log", "status"]).await.expect(0);
    assert_eq!(told.out.lines().count(), 4, "{}", told.out);
}

/// A start that may not migrate ends, and names what is missing and what to do.
async fn started_with_check_is_told(launch: Launch) {
    let listens = [
        ("SHOP__SERVER__LISTEN", "127.0.0.1:0"),
        ("SHOP__ADMIN__LISTEN", "127.0.0.1:0"),
    ];
    let launch = listens
        .iter()
        .fold(launch, |launch, (name, value)| launch.env(*name, *value));
    let Operated { code, out, err } = operate(launch, &[]).await;
    let said = format!("{out}{err}");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("payments/0002 ledger_entries") && said.contains("`migrate`"),
        "{said}"
    );
}

fn place(folder: &Path, settings: &[(&str, &str)]) -> Launch {
    launch(settings).folder(folder)
}
