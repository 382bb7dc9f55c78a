//! What a stop does to streams: each ends with `UNAVAILABLE`, and the process ends cleanly.

use std::time::Duration;

use futures_util::stream;
use stanchion_testing::process::Signal;
use tokio::time::timeout;
use tonic::Code;

use super::{new_order, watch_order};
use crate::support::Shop;
use crate::support::grpc::refused;

/// The protocol with shorter waits.
const SHORT: [(&str, &str); 4] = [
    ("SHOP__SERVER__LAME_DUCK", "500ms"),
    ("SHOP__SERVER__IDLE_GRACE", "500ms"),
    ("SHOP__SERVER__DRAIN", "8s"),
    ("SHOP__SERVER__STOP", "12s"),
];

/// The stop's 12 seconds and some for a busy machine.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn streams_of_every_kind_end_with_unavailable_when_the_shop_stops() {
    let mut shop = Shop::start_with(&SHORT).await;
    let mut grpc = shop.grpc().await;
    let staff = shop.staff("grace").await;
    let placing = staff.keyed("key-1", new_order("MUG-BLUE", 1));
    let placed = grpc.orders.place_order(placing).await.unwrap();
    let id = placed.into_inner().id;

    let watching = staff.call(watch_order(&id, Some(1)));
    let mut watch = grpc
        .orders
        .watch_order(watching)
        .await
        .unwrap()
        .into_inner();
    let syncing = staff.call(stream::pending());
    let mut sync = grpc
        .inventory
        .sync_stock(syncing)
        .await
        .unwrap()
        .into_inner();
    let mut inventory = grpc.inventory.clone();
    let importing = staff.call(stream::pending());
    let importing = async move { inventory.import_products(importing).await };
    let import = stanchion::runtime::task::spawn("import", importing);
    // It has begun when the shop has nothing else to do.
    tokio::time::sleep(Duration::from_millis(300)).await;

    shop.process.signal(Signal::Terminate).unwrap();
    let ends = async {
        [
            refused(watch.message().await),
            refused(sync.message().await),
            refused(import.await.unwrap()),
        ]
    };
    let ends = timeout(STOPPED_WITHIN, ends).await.unwrap();
    for end in ends {
        assert_eq!(end, (Code::Unavailable, "UNAVAILABLE".to_owned()));
    }
    drop((watch, sync, grpc));
    let status = shop.process.wait(STOPPED_WITHIN).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", shop.process.stdout());
}
