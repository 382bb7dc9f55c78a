//! A broker that goes away, loses acknowledgements and says things twice: who orders notices nothing, and no order is lost
//! or done twice. `SHOP_BROKER_DOWN_SECONDS=60` has it away for a minute; `cargo xtask chaos broker` does the same for longer.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use shop_cluster::{Broker, Row};
use stanchion_testing::proxy::{Cut, FaultProxy};
use stanchion_testing::servers::Nats;
use tokio::time::{Instant, sleep};

use crate::support::{Caller, Shop, eventually, item};

const CUSTOMERS: usize = 4;
const DOWN: Duration = Duration::from_secs(6);
const FAULTS: usize = 12;
const BETWEEN_FAULTS: Duration = Duration::from_millis(600);
/// A message whose member was cut off comes again after this.
const ACK_WAIT: (&str, &str) = ("SHOP__BROKER__NATS__ACK_WAIT", "3s");
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Load before the broker goes and after the backlog is gone.
const STEADY: Duration = Duration::from_secs(4);
/// Relays, members and what was cut off come back within this, however short the broker was away.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// An order that was taken, and how long that took.
struct Placed<'a> {
    customer: &'a Caller,
    id: String,
    at: Instant,
    took: Duration,
}

/// B1.
#[tokio::test]
async fn while_the_broker_is_down_orders_are_taken_and_they_are_settled_when_it_is_back() {
    let Some(mut nats) = Nats::required() else {
        return;
    };
    let broker = Broker::At(nats.url());
    let Some(shop) = Shop::start_in_services_with(broker, &[ACK_WAIT], &[]).await else {
        return;
    };
    let (customers, down) = (customers(&shop).await, down());
    let over = Cell::new(false);
    let hurting = async {
        sleep(STEADY).await;
        let gone = Instant::now();
        nats.kill().unwrap();
        sleep(down).await;
        let behind = eventually("the lag of orders tells of it", BACK_WITHIN, || async {
            let behind = look_at_lag(&shop, "orders-worker").await?;
            (behind > 0).then_some(behind)
        })
        .await;
        // Whoever waits for an answer waits for this as well: it blocks.
        let returns = Instant::now();
        nats.restart().unwrap();
        let back = Instant::now();
        // Beside the load, which goes on: within as long as it was away means at twice the rate that it comes at.
        let within = down.max(BACK_WITHIN);
        eventually("the backlog drains", within, || async {
            let left = look_at_lag(&shop, "orders-worker").await?;
            (left <= behind / 10).then_some(())
        })
        .await;
        println!(
            "away for {down:?}: {behind} behind, a tenth of that {:?} after it was back",
            back.elapsed()
        );
        sleep(STEADY).await;
        over.set(true);
        (gone, returns)
    };
    let (orders, (gone, returns)) = tokio::join!(order_until(&over, &customers), hurting);
    assert!(orders.len() > 2 * CUSTOMERS, "{} orders", orders.len());
    let times = |from: Instant, to: Instant| -> Vec<Duration> {
        let of_it = orders
            .iter()
            .filter(|it| it.at >= from && it.at + it.took <= to);
        of_it.map(|it| it.took).collect()
    };
    let (before, meanwhile) = (p99(times(orders[0].at, gone)), times(gone, returns));
    let slow = meanwhile
        .iter()
        .filter(|took| **took > before * 2 + Duration::from_millis(250))
        .count();
    println!(
        "{} orders; p99 of taking one {before:?}, {slow} of {} without the broker took longer, p99 {:?}",
        orders.len(),
        meanwhile.len(),
        p99(meanwhile.clone())
    );
    // Who waits until it is back is in neither list, and so few may all be slow.
    assert!(
        meanwhile.len() > CUSTOMERS,
        "{} orders were taken without the broker",
        meanwhile.len()
    );
    // One in a hundred; and in seconds there are hardly a hundred, of which one hiccup of the machine hits one of everybody's.
    assert!(
        slow <= meanwhile.len() / 100 + CUSTOMERS,
        "who orders waits for the broker"
    );

    all_settled(&orders).await;
    shop.adds_up(SETTLED_WITHIN).await;
    // Rows may add up before a projection has noted how far it came.
    eventually("nothing is left behind", SETTLED_WITHIN, || async {
        let left = look_at_lag(&shop, "orders-worker").await?;
        (left == 0).then_some(())
    })
    .await;
}

fn down() -> Duration {
    let seconds = std::env::var("SHOP_BROKER_DOWN_SECONDS").ok();
    seconds.map_or(DOWN, |text| {
        Duration::from_secs(text.parse().expect("seconds"))
    })
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let nth = times.len() * 99 / 100;
    times
        .get(nth.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// B2 and B4.
#[tokio::test]
async fn lost_acknowledgements_and_cut_connections_to_the_broker_change_no_order() {
    let Some(nats) = Nats::required() else {
        return;
    };
    let proxy = FaultProxy::start(nats.address()).unwrap();
    let broker = Broker::At(format!("nats://{}", proxy.address()));
    let Some(shop) = Shop::start_in_services_with(broker, &[ACK_WAIT], &[]).await else {
        return;
    };
    let customers = customers(&shop).await;
    let over = Cell::new(false);
    let hurting = async {
        for fault in 0..FAULTS {
            hurt(&proxy, fault).await;
            sleep(BETWEEN_FAULTS).await;
        }
        proxy.delay(Duration::ZERO);
        over.set(true);
    };
    let (orders, ()) = tokio::join!(order_until(&over, &customers), hurting);
    assert!(orders.len() > 2 * CUSTOMERS, "{} orders", orders.len());
    assert!(proxy.counts().cut_replies > 0, "no confirmation was lost");

    all_settled(&orders).await;
    shop.adds_up(SETTLED_WITHIN).await;
    for row in shop.services.as_ref().unwrap().view().await {
        let parked = row.parked.unwrap_or_default();
        assert_eq!((parked.dead, parked.unknown), (0, 0), "{row:?}");
    }
}

/// One fault after the other.
async fn hurt(proxy: &FaultProxy, nth: usize) {
    match nth % 4 {
        // The broker has what is published next, and who published it never learns.
        0 | 2 => proxy.cut(Cut::Reply(0), b"pub "),
        // What is said on the new connection overtakes what was on its way on the old one.
        1 => proxy.sever(),
        _ => {
            proxy.delay(Duration::from_millis(40));
            sleep(BETWEEN_FAULTS).await;
            proxy.delay(Duration::ZERO);
        }
    }
}

async fn customers(shop: &Shop) -> Vec<Caller> {
    shop.stocked().await;
    let admin = shop.admin().await;
    admin.stock_product("BEANS", 1250, 10_000).await;
    let names: Vec<String> = (0..CUSTOMERS).map(|nth| format!("customer{nth}")).collect();
    join_all(names.iter().map(|name| shop.customer(name))).await
}

/// Orders of everybody, each taken at once, until it is over.
async fn order_until<'a>(over: &Cell<bool>, customers: &'a [Caller]) -> Vec<Placed<'a>> {
    let ordering = customers.iter().map(|customer| async move {
        let mut orders = Vec::new();
        while !over.get() {
            let at = Instant::now();
            let placed = customer.place(&item("BEANS", 1)).await;
            orders.push(Placed {
                customer,
                id: placed.text_at("/id"),
                at,
                took: at.elapsed(),
            });
            sleep(Duration::from_millis(150)).await;
        }
        orders
    });
    join_all(ordering).await.into_iter().flatten().collect()
}

async fn all_settled(orders: &[Placed<'_>]) {
    for Placed { customer, id, .. } in orders {
        eventually("the order is confirmed", SETTLED_WITHIN, || async {
            let order = customer.see_order(id).await;
            (order.text_at("/status") == "confirmed").then_some(())
        })
        .await;
    }
}

/// How far the furthest of a service's relays and projections is behind; `None` if it does not say now.
async fn look_at_lag(shop: &Shop, service: &str) -> Option<u64> {
    let rows = shop.services.as_ref().unwrap().view().await;
    let row: Option<Row> = rows.into_iter().find(|row| row.name == service);
    row.and_then(|row| row.lag)
}
