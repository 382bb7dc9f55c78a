//! Messages that a consumer gave up on: seen, tried again, thrown away.

use std::time::Duration;

use serde_json::{Value, json};
use stanchion::messaging::{
    ConsumerStore, LogId, Message, Metadata, Origin, Parked, ParkedState, Position,
};
use stanchion::runtime::{clock, id};
use stanchion::sql::{DatabaseSettings, Db, SqlConsumerStore};

use super::{AT_ONCE, entries};
use crate::support::{STOPPED_WITHIN, Shop, eventually};

const CONSUMER: &str = "reservations";

const TOKEN: (&str, &str) = ("SHOP__ADMIN__TOKEN", "the operator's word");

#[tokio::test]
async fn they_are_listed_shown_redriven_and_discarded_beside_a_running_shop() {
    let letters = [letter("good-1"), letter("good-2"), letter("bad")];
    let shop = shop_with(&letters).await;
    let [good, other, bad] = letters
        .each_ref()
        .map(|letter| letter.message.id.to_string());

    let list = shop.operate(&["dead-letters", "list"]).await.expect(0);
    assert_eq!(list.out.lines().count(), 3, "{}", list.out);
    list.says(&[
        &good,
        CONSUMER,
        "inventory.reserve_stock.v1",
        "attempts 20",
        "out of luck",
    ]);
    let shown = shop
        .operate(&["dead-letters", "show", &good])
        .await
        .expect(0);
    let shown: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(shown["message"]["payload"], letters[0].message.payload);

    let done = shop
        .operate(&["dead-letters", "discard", &bad])
        .await
        .expect(0);
    assert_eq!(done.out, format!("discarded: {bad} of {CONSUMER}\n"));
    let done = shop
        .operate(&["dead-letters", "redrive", &good])
        .await
        .expect(0);
    assert_eq!(done.out, format!("due again: {good} of {CONSUMER}\n"));
    is_reserved(&shop, &letters[0]).await;
    let done = shop
        .operate(&["redrive", "--consumer", CONSUMER])
        .await
        .expect(0);
    assert_eq!(
        done.out,
        format!("due again: {other} of {CONSUMER}\n1 made due again\n")
    );
    is_reserved(&shop, &letters[1]).await;

    // What a letter asks for is done a moment before the letter is taken away.
    let none = eventually("no letter is left", STOPPED_WITHIN, || async {
        let all = shop.operate(&["dead-letters", "list", "--all"]).await;
        let all = all.expect(0);
        all.out.is_empty().then_some(all)
    })
    .await;
    assert_eq!(none.err, "no dead letters\n");
    let none = shop.operate(&["redrive"]).await.expect(0);
    assert_eq!(none.out, "0 made due again\n");
}

#[tokio::test]
async fn a_slip_of_the_pen_is_named() {
    // Longer than this test takes, and no longer than a retry may wait: beyond that it is the clock that was wrong.
    let due = format!("{:.0}", clock::now() + Duration::from_secs(100));
    let waiting = Parked {
        state: ParkedState::Retry,
        under_way: true,
        due_at: due.parse().unwrap(),
        ..letter("waiting")
    };
    let mut newer = Parked {
        state: ParkedState::Unknown,
        ..letter("newer")
    };
    newer.message.contract = "inventory.reserve_stock.v9".into();
    let [id, newer_id] = [&waiting, &newer].map(|letter| letter.message.id.to_string());
    let shop = shop_with(&[waiting, newer]).await;

    let nobody = id::new_v7().to_string();
    for command in ["show", "redrive", "discard"] {
        let told = shop
            .operate(&["dead-letters", command, &nobody])
            .await
            .expect(1);
        told.says(&[&format!("there is no dead letter {nobody}")]);
    }
    for command in ["redrive", "discard"] {
        let told = shop
            .operate(&["dead-letters", command, &id])
            .await
            .expect(1);
        told.says(&["is no dead letter now", &due]);
    }
    for command in [
        &["redrive", "--consumer", "nobody"][..],
        &["dead-letters", "list", "--consumer", "nobody"],
    ] {
        let told = shop.operate(command).await.expect(2);
        told.says(&["no consumer `nobody`"]);
    }
    let none = shop
        .operate(&["dead-letters", "list", "--consumer", CONSUMER])
        .await
        .expect(0);
    assert_eq!(none.out, "", "it waits for another attempt");
    let all = shop
        .operate(&["dead-letters", "list", "--all"])
        .await
        .expect(0);
    assert_eq!(all.out.lines().count(), 2, "{}", all.out);
    all.says(&["retry   attempts", "unknown attempts"])
        .says(&["an attempt is under way", "before: failed: out of luck"]);

    let told = shop
        .operate(&["dead-letters", "redrive", &newer_id])
        .await
        .expect(1);
    told.says(&["knows inventory.reserve_stock.v9", "`discard` gives it up"]);
    let done = shop
        .operate(&["dead-letters", "discard", &newer_id])
        .await
        .expect(0);
    assert_eq!(done.out, format!("discarded: {newer_id} of {CONSUMER}\n"));
    shop.operate(&["dead-letters", "show", &newer_id])
        .await
        .expect(1);
}

#[tokio::test]
async fn a_letter_of_an_embedded_store_is_changed_by_the_running_shop_only() {
    let dead = letter("dead");
    let id = dead.message.id.to_string();
    let mut shop = shop_with(&[dead]).await;
    let told = shop.operate(&["redrive", "--config", "other.toml"]).await;
    told.expect(2).says(&["other.toml"]);
    std::fs::write(shop.folder().join("other.toml"), "").unwrap();
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();

    let list = shop.operate(&["dead-letters", "list"]).await.expect(0);
    list.says(&[&id]);
    let told = shop.operate(&["redrive"]).await.expect(1);
    told.says(&[
        "no service answers on",
        &shop.admin_address,
        "Start the service",
    ]);
}

/// On PostgreSQL an operator needs no shop for it.
#[tokio::test]
async fn on_postgres_a_letter_can_be_changed_from_anywhere() {
    let Some(mut shop) = Shop::start_on_postgres().await else {
        return;
    };
    shop.process.kill().unwrap();
    let (good, bad) = (letter("good"), letter("bad"));
    park(&shop, &[good.clone(), bad.clone()]).await;

    let list = shop.operate(&["dead-letters", "list"]).await.expect(0);
    assert_eq!(list.out.lines().count(), 2, "{}", list.out);
    let bad = bad.message.id.to_string();
    let done = shop.operate(&["dead-letters", "discard", &bad]).await;
    let done = done.expect(0);
    assert_eq!(done.out, format!("discarded: {bad} of {CONSUMER}\n"));
    // Nobody runs who would log it.
    done.says(&[
        "it leaves no audit event",
        "inventory.reserve_stock.v1, dead",
        "out of luck",
    ]);
    let done = shop.operate(&["redrive"]).await.expect(0);
    done.says(&["1 made due again"]);
    shop.restart().await;
    is_reserved(&shop, &good).await;
}

/// A shop that runs, in which inventory once gave up on these.
async fn shop_with(letters: &[Parked]) -> Shop {
    let mut shop = Shop::start_with(&[TOKEN, AT_ONCE]).await;
    shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    park(&shop, letters).await;
    shop.restart().await;
    shop
}

async fn park(shop: &Shop, letters: &[Parked]) {
    let db = Db::open(shop.stores(), "inventory", &DatabaseSettings::default())
        .await
        .unwrap();
    let consumers = SqlConsumerStore::new(db.clone());
    for letter in letters {
        consumers.park(letter).await.unwrap();
    }
    db.close().await;
}

/// A command that can be obeyed at the next attempt; `key` is what order is kept by.
fn letter(key: &str) -> Parked {
    let now = clock::now();
    let message = Message {
        id: id::new_v7(),
        contract: "inventory.reserve_stock.v1".into(),
        key: key.into(),
        payload: json!({
            "order_id": id::new_v7(), "items": [{"sku": "MUG-BLUE", "quantity": 1}], "until": "2100-01-01T00:00:00Z",
        }),
        origin: Origin {
            log: LogId(id::new_v7()),
            position: Position(1),
        },
        metadata: Metadata::new(None),
        at: now,
    };
    Parked {
        consumer: CONSUMER.into(),
        message,
        state: ParkedState::Dead,
        attempts: 20,
        under_way: false,
        note: None,
        due_at: now,
        reason: "failed: out of luck".into(),
        parked_at: now,
    }
}

/// The command of this letter was obeyed.
async fn is_reserved(shop: &Shop, letter: &Parked) {
    let order = letter.message.payload["order_id"]
        .as_str()
        .unwrap()
        .to_owned();
    eventually("the stock is reserved", STOPPED_WITHIN, || async {
        let held = entries(
            shop,
            &["inventory", "--category", "reservation", "--stream", &order],
        )
        .await;
        (!held.is_empty()).then_some(())
    })
    .await;
}
