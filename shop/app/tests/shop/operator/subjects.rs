//! A customer's data is made unreadable, and the master key under all of them is changed.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use serde_json::json;
use shop_kernel::UserId;
use stanchion::eventsourcing::SealingKey;
use stanchion::sql::{DatabaseSettings, Db, params};

use super::AT_ONCE;
use crate::support::{Caller, PASSWORD, STOPPED_WITHIN, Shop, VISA, item, on_both_stores};

on_both_stores!(
    nothing_of_a_shredded_customer_is_readable_and_all_else_goes_on,
    who_is_shredded_must_have_been_and_must_be_free_to_go,
    the_master_key_is_changed_while_the_shop_runs,
);

/// Stands nowhere but in what is searched for.
const NAME: &str = "Lovelace-of-Ockham-Park";

const MASTER: &str = "SHOP__PERSONAL__MASTER_KEY";
const OTHER: &str = "SHOP__PERSONAL__OTHER_MASTER_KEY";

const MODULES: [&str; 4] = ["identity", "inventory", "orders", "payments"];

async fn nothing_of_a_shredded_customer_is_readable_and_all_else_goes_on(mut shop: Shop) {
    let admin = shop.admin().await;
    let ada = some_customer(&admin).await;
    let bob = shop.customer("bob").await;
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(
        order.text_at("/status"),
        "confirmed",
        "the gateway was told how it is paid"
    );
    bob.order(&item("MUG-BLUE", 1)).await;
    // How it is paid never was in a log.
    for module in MODULES {
        let exported = shop.operate(&["log", "export", module]).await.expect(0);
        assert!(!exported.out.contains(VISA), "{module}");
    }

    let shred = ["subjects", "shred", &ada.id];
    let first = shop.operate(&shred).await.expect(0);
    let proof = format!("shredded: {} at ", ada.id);
    assert!(first.out.starts_with(&proof), "{first:?}");
    let again = shop.operate(&shred).await.expect(0);
    assert_eq!(again.out, first.out, "the proof is the first time's");

    // The log has it, by whom, and where the proof says.
    let told = shop
        .operate(&["log", "show", "identity", "--category", "subject"])
        .await;
    let entry: serde_json::Value = serde_json::from_str(&told.expect(0).out).unwrap();
    assert_eq!(
        (entry["type"].as_str(), entry["data"]["subject"].as_str()),
        (Some("subject_shredded"), Some(ada.id.as_str()))
    );
    assert_eq!(entry["metadata"]["principal"], "operator");
    let place = format!(
        "event {} at position {} ",
        entry["id"].as_str().unwrap(),
        entry["position"]
    );
    assert!(first.out.contains(&place), "{} {entry}", first.out);

    // She is gone, her order is not, and the shop goes on.
    let login = json!({"login": "ada", "password": PASSWORD});
    let refused = shop.anyone().post("/auth/login").json(&login).send().await;
    refused.expect_error(401, "UNAUTHENTICATED");
    let seen = admin.see_order(&order.text_at("/id")).await;
    assert_eq!(seen.text_at("/customer_id"), ada.id);
    let payment = admin.payment_of(&order).await;
    assert_eq!(payment.text_at("/status"), "captured");
    let found = admin
        .get(&format!("/users?q={NAME}"))
        .send()
        .await
        .expect(200);
    assert_eq!(found.meta()["total"], 0);
    bob.order(&item("MUG-BLUE", 1)).await;
    shop.operate(&["log", "verify"]).await.expect(0);
    for projection in ["order_summaries", "payments/payments"] {
        let verified = shop.operate(&["projections", "verify", projection]).await;
        verified.expect(0).says(&["holds"]);
    }
    nothing_is_read(&mut shop, &ada.id).await;
    shop.adds_up(STOPPED_WITHIN).await;
}

/// A customer with a name, registered by an administrator under a key: the answer with the name in it is kept.
async fn some_customer(admin: &Caller) -> Caller {
    let body = json!({
        "email": format!("{NAME}@example.com"), "username": "ada", "password": PASSWORD,
        "first_name": "Ada", "last_name": NAME,
    });
    let made = admin.post("/users").key("ada").json(&body).send().await;
    made.expect(201);
    let mut ada = Caller::anonymous(admin.http.clone(), admin.base.clone());
    ada.log_in("ada", PASSWORD).await;
    let moved = json!({"email": format!("second-{NAME}@example.com")});
    let path = format!("/users/{}", ada.id);
    ada.patch(&path).json(&moved).send().await.expect(200);
    ada
}

/// Neither by the shop's own reading of its stores nor, where they are files, in the files.
async fn nothing_is_read(shop: &mut Shop, id: &str) {
    for module in MODULES {
        let exported = shop.operate(&["log", "export", module]).await.expect(0);
        assert!(!holds_name(exported.out.as_bytes()), "{module}");
    }
    shop.process.kill().unwrap();
    let db = Db::open(shop.stores(), "identity", &DatabaseSettings::default())
        .await
        .unwrap();
    let row = "select email, username, search, first_name, last_name from users where id = $1";
    let id = id.parse::<UserId>().unwrap().0;
    let row = db.one(row, params![id]).await.unwrap();
    let texts: Vec<Option<String>> = (0..5).map(|n| row.get(n).unwrap()).collect();
    assert!(texts.into_iter().flatten().all(|text| text.is_empty()));
    let sql = "select (select count(*) from sessions where user_id = $1), \
               (select count(*) from inbox where answer is not null and fingerprint is not null)";
    let left = db.one(sql, params![id]).await.unwrap();
    let left: (i64, i64) = (left.get(0).unwrap(), left.get(1).unwrap());
    assert_eq!(left, (0, 0), "sessions, and answers that were kept");
    db.close().await;
    let holding: Vec<PathBuf> = files_in(&shop.data())
        .into_iter()
        .filter(|file| std::fs::read(file).is_ok_and(|bytes| holds_name(&bytes)))
        .collect();
    assert_eq!(holding, [] as [PathBuf; 0]);
    shop.restart().await;
}

fn holds_name(bytes: &[u8]) -> bool {
    // Folded as well: lists are searched by that.
    let folded = bytes.to_ascii_lowercase();
    let name = NAME.to_ascii_lowercase();
    folded
        .windows(name.len())
        .any(|part| part == name.as_bytes())
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

async fn who_is_shredded_must_have_been_and_must_be_free_to_go(shop: Shop) {
    let nobody = "01900000-0000-7000-8000-000000000000";
    for (subject, why) in [
        ("ada", "no user's id"),
        (nobody, "there is no user 01900000"),
        (&shop.admin().await.id, "the last active administrator"),
    ] {
        let refused = shop
            .operate(&["subjects", "shred", subject])
            .await
            .expect(1);
        assert_eq!(refused.out, "");
        refused.says(&[why]);
    }
    // Nobody was: no proof of it stands in the log.
    let told = shop
        .operate(&["log", "show", "identity", "--category", "subject"])
        .await;
    assert_eq!(told.expect(0).out, "");
    shop.admin().await.order(&item("MUG-BLUE", 1)).await;
}

/// An embedded store is its service's: without that it is looked at, and nothing is said to be done.
#[tokio::test]
async fn of_a_stopped_embedded_shop_nobody_is_shredded() {
    let mut shop = Shop::start_with(&[AT_ONCE]).await;
    let ada = shop.customer("ada").await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    let nobody = format!("no service answers on {}", shop.admin_address);
    let refused = shop
        .operate(&["subjects", "shred", &ada.id])
        .await
        .expect(1);
    assert_eq!(refused.out, "");
    refused.says(&[&nobody, "Start the service"]);
}

/// On PostgreSQL an operator needs no shop for it, nor for a change of the master key.
#[tokio::test]
async fn on_postgres_it_is_done_from_anywhere() {
    let Some(mut shop) = Shop::start_on_postgres().await else {
        return;
    };
    let ada = shop.customer("ada").await;
    ada.order(&item("MUG-BLUE", 1)).await;
    shop.process.kill().unwrap();
    let shredded = shop.operate(&["subjects", "shred", &ada.id]).await;
    shredded.expect(0).says(&["shredded: ", &ada.id]);
    shop.operate(&["subjects", "reseal"])
        .await
        .expect(0)
        .says(&["resealed: 0 keys"]);
    shop.restart().await;
    let again = shop.operate(&["subjects", "shred", &ada.id]).await;
    again
        .expect(0)
        .says(&["shredded: ", "snapshots deleted: 0"]);
}

async fn the_master_key_is_changed_while_the_shop_runs(mut shop: Shop) {
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    for customer in [&ada, &bob] {
        customer.order(&item("MUG-BLUE", 1)).await;
    }
    shop.operate(&["subjects", "reseal"])
        .await
        .expect(0)
        .says(&["resealed: 0 keys"]);
    let old = shop.master_key();
    let new = SealingKey::generate_text().expose_secret().to_owned();

    shop.process.kill().unwrap();
    let refused = shop.restart_with(&[(MASTER, &new)]).await.unwrap_err();
    for words in [
        "personal.master_key is not the one",
        "personal.other_master_key",
        "subjects reseal",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    assert!(!refused.contains(&new), "{refused}");

    shop.restart_with(&[(OTHER, &old)]).await.unwrap();
    bob.order(&item("MUG-BLUE", 1)).await;
    let resealed = shop.operate(&["subjects", "reseal"]).await.expect(0);
    // Theirs and the vault's own.
    resealed.says(&["resealed: 3 keys", "no other master key is needed"]);
    shop.operate(&["subjects", "reseal"])
        .await
        .expect(0)
        .says(&["resealed: 0 keys"]);
    shop.process.kill().unwrap();
    // The old one is nowhere any more.
    shop.restart_with(&[(OTHER, &new)]).await.unwrap();
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    assert_eq!(order.text_at("/status"), "confirmed");
    shop.operate(&["subjects", "shred", &ada.id])
        .await
        .expect(0);
    shop.adds_up(STOPPED_WITHIN).await;
}
