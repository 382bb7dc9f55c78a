//! Fulfilment's process is killed at each step and each compensation of an order, before and after the commit to the exact
//! append; late answers come after the time-out compensated. Every order ends, and stock and money agree. On both stores, in
//! one process; in services it is in [`killed_in_services`](super::killed_in_services).
//!
//! The points of death are in debug builds alone: `shop/orders/src/adapters/failpoint.rs`.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shop_sandbox::{Knobs, Running, Sandbox, Settings};
use stanchion::sql::DatabaseUrl;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::{Answer, Caller, STOPPED_WITHIN, Shop, eventually, item, items};

/// Longer than an order takes that is killed once, with every wait there is.
const ENDED_WITHIN: Duration = Duration::from_secs(60);

/// What comes after all was done, such as a late answer that is only noted, comes within this.
const LAST_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// More steps than an order has.
const STEPS_MAX: usize = 20;

const DIE: &str = "SHOP_DIE_AT_FULFILMENT";

/// An order, what is done with it, and how it must end.
struct Story {
    order: Value,
    cancelled: bool,
    ends: &'static str,
    /// Steps that it has at least.
    steps: usize,
}

/// Makes two tests of each `async fn story(store: Store)`.
macro_rules! on_each_store {
    ($($story:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(super::Store::Sqlite).await;
                }
            )+
        }

        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(super::Store::Postgres).await;
                }
            )+
        }
    };
}

on_each_store!(
    an_order_that_is_fulfilled,
    an_order_whose_payment_is_declined,
    an_order_for_more_than_there_is,
    an_order_that_is_called_off_when_all_was_done,
    an_answer_that_comes_after_the_time_out_was_compensated,
);

#[derive(Clone, Copy)]
enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    /// A shop on an empty one; `None`, said loudly, where no server can be had.
    async fn shop(self) -> Option<Shop> {
        match self {
            Self::Sqlite => Some(Shop::start().await),
            Self::Postgres => Shop::start_on_postgres().await,
        }
    }
}

async fn an_order_that_is_fulfilled(store: Store) {
    killed_at_each_step_of(
        store,
        Story {
            order: item("MUG-BLUE", 1),
            cancelled: false,
            ends: "confirmed",
            steps: 5,
        },
    )
    .await;
}

async fn an_order_whose_payment_is_declined(store: Store) {
    killed_at_each_step_of(
        store,
        Story {
            order: items(&[("MUG-BLUE", 1)], "pm_card_chargeDeclined"),
            cancelled: false,
            ends: "rejected",
            steps: 4,
        },
    )
    .await;
}

async fn an_order_for_more_than_there_is(store: Store) {
    killed_at_each_step_of(
        store,
        Story {
            order: item("LAST-ONE", 2),
            cancelled: false,
            ends: "rejected",
            steps: 2,
        },
    )
    .await;
}

async fn an_order_that_is_called_off_when_all_was_done(store: Store) {
    killed_at_each_step_of(
        store,
        Story {
            order: item("MUG-BLUE", 1),
            cancelled: true,
            ends: "cancelled",
            steps: 8,
        },
    )
    .await;
}

/// Before and after each commit at the same time, each in a shop of its own.
async fn killed_at_each_step_of(store: Store, story: Story) {
    tokio::join!(
        killed(store, "before", &story),
        killed(store, "after", &story)
    );
}

async fn killed(store: Store, when: &str, story: &Story) {
    let Some(mut shop) = store.shop().await else {
        return;
    };
    let staff = shop.staff("carol").await;
    staff.stock_product("LAST-ONE", 990, 1).await;
    let ada = shop.customer("ada").await;
    at_every_point(&mut shop, &ada, story, when).await;
    let gateway = DatabaseUrl::sqlite(shop.data());
    adds_up(&mut shop, &gateway).await;
}

/// The story once for each point of death it has.
async fn at_every_point(shop: &mut Shop, ada: &Caller, story: &Story, when: &str) {
    let mut step = 1;
    while dies(shop, ada, story, &format!("{when} {step}")).await {
        step += 1;
        assert!(step < STEPS_MAX, "it never comes to an end");
    }
    assert!(
        step > story.steps,
        "only {step} points of death {when} a commit"
    );
}

async fn an_answer_that_comes_after_the_time_out_was_compensated(store: Store) {
    tokio::join!(
        answered_too_late(store, "before"),
        answered_too_late(store, "after")
    );
}

async fn answered_too_late(store: Store, when: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (sandbox, books) = slow_gateway(&folder, Duration::from_secs(3)).await;
    let settings = [
        ("SHOP__PAYMENTS__GATEWAY_URL", sandbox.url.as_str()),
        ("SHOP__PAYMENTS__GATEWAY_KEY", sandbox.key.expose_secret()),
        (
            "SHOP__PAYMENTS__WEBHOOK_SECRET",
            sandbox.webhook_secret.expose_secret(),
        ),
        ("SHOP__ORDERS__STEP_TIMEOUT", "1500ms"),
    ];
    let Some(mut shop) = store.shop().await else {
        return;
    };
    stop(&mut shop).await;
    shop.restart_with(&settings).await.unwrap();
    let ada = shop.customer("ada").await;
    let story = Story {
        order: item("MUG-BLUE", 1),
        cancelled: false,
        ends: "rejected",
        steps: 4,
    };
    at_every_point(&mut shop, &ada, &story, when).await;
    let counted = shop.fetch_admin("/metrics").send().await.expect(200).text;
    let timed_out = r#"stanchion_process_events_total{process="fulfilment",definition="1",event="timed_out"} 1"#;
    assert!(counted.contains(timed_out), "{counted}");
    adds_up(&mut shop, &books).await;
    sandbox.stop().await;
}

/// A gateway that outlives the shop and answers late.
async fn slow_gateway(folder: &TempDir, latency: Duration) -> (Running, DatabaseUrl) {
    let books = DatabaseUrl::sqlite(folder.path());
    let latency_ms = u64::try_from(latency.as_millis()).unwrap();
    let settings = Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: Some(books.clone()),
        knobs: Knobs {
            latency_ms,
            ..Knobs::default()
        },
        ..Settings::default()
    };
    (Sandbox::start(settings).await.unwrap(), books)
}

/// Starts the shop anew, to die at that point, and lives through the story once; false if the story has no such point.
async fn dies(shop: &mut Shop, ada: &Caller, story: &Story, at: &str) -> bool {
    stop(shop).await;
    shop.restart_with(&[(DIE, at)]).await.unwrap();
    let key = stanchion::runtime::id::new_v7().to_string();
    let died = lived_until_death(shop, ada, story, &key).await;
    if died {
        shop.restart_with(&[(DIE, "")]).await.unwrap();
    }
    let placed = eventually("the order is placed", ENDED_WITHIN, || {
        place(ada, story, &key)
    })
    .await;
    let id = placed.text_at("/id");
    if story.cancelled {
        ends(ada, &id, &["confirmed", "cancelled"]).await;
        eventually("it is called off", ENDED_WITHIN, || async {
            cancel(ada, &id).await;
            is(ada, &id, &["cancelled"]).await
        })
        .await;
    }
    ends(ada, &id, &[story.ends]).await;
    nothing_is_under_way(shop, at).await;
    died
}

/// Goes as far as the shop lets it: whether it died before all was over.
async fn lived_until_death(shop: &mut Shop, ada: &Caller, story: &Story, key: &str) -> bool {
    let told = async {
        let placed = place(ada, story, key).await?;
        let id = placed.text_at("/id");
        if story.cancelled {
            sees(ada, &id, "confirmed").await?;
            cancel(ada, &id).await;
        }
        sees(ada, &id, story.ends).await?;
        Some(id)
    };
    if let Some(id) = told.await
        && !dies_yet(shop, story, &id).await
    {
        return false;
    }
    shop.process.wait(STOPPED_WITHIN).await.unwrap();
    let said = shop.process.stderr();
    assert!(!said.contains("panicked"), "{said}");
    true
}

/// What comes after the customer knows: the undoing of what was called off, late answers, repeats.
async fn dies_yet(shop: &mut Shop, story: &Story, id: &str) -> bool {
    let running: &Shop = shop;
    eventually("all is done, or nobody there", ENDED_WITHIN, || async {
        (has_ended(running, story, id).await != Some(false)).then_some(())
    })
    .await;
    shop.process.wait(LAST_WITHIN).await.is_ok()
}

/// Whether fulfilment of that order has come to its end, and to that of its undoing; `None` if the shop is gone.
async fn has_ended(shop: &Shop, story: &Story, id: &str) -> Option<bool> {
    let path = format!("/processes/orders/fulfilment/{id}");
    let shown = shop.fetch_admin(&path).try_send().await.ok()?.json();
    let is_undone = shown["step"] == "cancelled" || !story.cancelled;
    Some(shown["state"] == "ended" && is_undone)
}

async fn stop(shop: &mut Shop) {
    let stopped = shop.process.terminate(STOPPED_WITHIN).await.unwrap();
    assert!(stopped.success(), "{}", shop.process.stderr());
}

/// The order; the same key is the same order, also after the answer was lost.
async fn place(ada: &Caller, story: &Story, key: &str) -> Option<Answer> {
    let asked = ada.post("/orders").key(key).json(&story.order);
    let answer = asked.try_send().await;
    answer.ok().filter(|answer| answer.status == 202)
}

async fn cancel(ada: &Caller, id: &str) {
    // Lost on the way, or done before: either is found out by looking.
    let asked = ada.post(&format!("/orders/{id}/cancel")).json(&json!({}));
    drop(asked.try_send().await);
}

/// Waits for that status; `None` if the shop is gone.
async fn sees(ada: &Caller, id: &str, status: &str) -> Option<()> {
    eventually(status, ENDED_WITHIN, || async {
        match ada.get(&format!("/orders/{id}")).try_send().await {
            Ok(order) => (order.text_at("/status") == status).then_some(Some(())),
            Err(_) => Some(None),
        }
    })
    .await
}

async fn ends(ada: &Caller, id: &str, statuses: &[&str]) {
    let what = format!("{statuses:?}");
    eventually(&what, ENDED_WITHIN, || is(ada, id, statuses)).await;
}

async fn is(ada: &Caller, id: &str, statuses: &[&str]) -> Option<()> {
    let asked = ada.get(&format!("/orders/{id}")).try_send();
    let order = asked.await.ok().filter(|answer| answer.status == 200)?;
    let status = order.text_at("/status");
    statuses.contains(&status.as_str()).then_some(())
}

async fn nothing_is_under_way(shop: &Shop, at: &str) {
    let what = format!("{at}: every instance has ended");
    eventually(&what, ENDED_WITHIN, || async {
        let listed = shop.fetch_admin("/processes").try_send().await;
        let listed = listed.ok()?.data();
        listed.as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
}

/// Stock, money, orders and the gateway's books agree, as somebody sees it who shares no code with the shop.
async fn adds_up(shop: &mut Shop, gateway: &DatabaseUrl) {
    let stores = shop.stores().clone();
    let audit = async || {
        let audit = shop_auditor::audit(&stores, Some(gateway), None).await;
        audit.unwrap()
    };
    // Books that add up may be spoilt by what comes last; others come to rest, or are shown as they are.
    tokio::time::sleep(LAST_WITHIN).await;
    let begun = Instant::now();
    while begun.elapsed() < ENDED_WITHIN && !audit().await.complaints.is_empty() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    stop(shop).await;
    let audit = audit().await;
    assert!(
        audit.complaints.is_empty(),
        "{:#?}\n{}",
        audit.complaints,
        audit.sheet
    );
}
