//! What an operator does with whole logs: looks at them, takes them out, puts them into an empty shop.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{STOPPED_WITHIN, Shop};

/// The shop's command line on a folder's data.
fn shop(folder: &Path, arguments: &[&str]) -> Output {
    let mut shop = Command::new(env!("CARGO_BIN_EXE_shop"));
    shop.current_dir(folder).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}

#[tokio::test]
async fn a_log_is_verified_beside_the_running_shop_and_moves_to_another_one() {
    let mut running = Shop::start().await;
    let verified = shop(running.folder(), &["log", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
    let text = said(&verified);
    for module in ["identity", "inventory", "orders", "payments"] {
        assert!(text.contains(&format!("{module}: log ")), "{text}");
    }
    assert_eq!(text.matches("all is well").count(), 4, "{text}");

    let exported = shop(
        running.folder(),
        &["log", "export", "inventory", "inventory.jsonl"],
    );
    assert!(exported.status.success(), "{}", said(&exported));
    let file = running.folder().join("inventory.jsonl");
    let other = tempfile::tempdir().unwrap();
    let import = ["log", "import", "inventory", file.to_str().unwrap()];
    let imported = shop(other.path(), &import);
    assert!(imported.status.success(), "{}", said(&imported));
    assert!(
        said(&imported).contains("all is well"),
        "{}",
        said(&imported)
    );
    let again = shop(other.path(), &import);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("not empty"), "{}", said(&again));

    let copy = shop(other.path(), &["log", "export", "inventory"]);
    assert_eq!(copy.stdout, std::fs::read(&file).unwrap());
    running.process.terminate(STOPPED_WITHIN).await.unwrap();
}
