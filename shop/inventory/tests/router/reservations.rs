use crate::harness::{Shop, an_order};

#[tokio::test]
async fn a_reservation_holds_every_product_and_leaves_the_stock_when_committed() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    shop.create("MUG", 3).await;
    let order = an_order();
    shop.reserve(order, &[("MUG", 1), ("BEANS", 2)], 60).await;
    shop.until("reservation_held", 1).await;
    assert_eq!(
        (shop.available("BEANS").await, shop.available("MUG").await),
        (3, 2)
    );
    shop.commit(order).await;
    shop.until("reservation_committed", 1).await;
    assert_eq!(
        (shop.available("BEANS").await, shop.available("MUG").await),
        (3, 2)
    );
}

#[tokio::test]
async fn a_refused_reservation_holds_nothing() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    shop.create("MUG", 1).await;
    shop.reserve(an_order(), &[("BEANS", 2), ("MUG", 2)], 60)
        .await;
    shop.reserve(an_order(), &[("BEANS", 2), ("NOTHING", 1)], 60)
        .await;
    shop.until("reservation_refused", 2).await;
    assert_eq!(
        (shop.available("BEANS").await, shop.available("MUG").await),
        (5, 1)
    );
}

#[tokio::test]
async fn what_is_released_returns_before_and_after_the_commit() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let (held, committed) = (an_order(), an_order());
    shop.reserve(held, &[("BEANS", 1)], 60).await;
    shop.reserve(committed, &[("BEANS", 2)], 60).await;
    shop.until("reservation_held", 2).await;
    shop.commit(committed).await;
    shop.until("reservation_committed", 1).await;
    shop.release(held).await;
    shop.release(committed).await;
    shop.until("reservation_released", 2).await;
    assert_eq!(shop.available("BEANS").await, 5);
}

#[tokio::test]
async fn the_same_command_twice_has_one_effect() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let order = an_order();
    for _ in 0..2 {
        shop.reserve(order, &[("BEANS", 2)], 60).await;
    }
    shop.until("reservation_held", 1).await;
    for _ in 0..2 {
        shop.commit(order).await;
    }
    shop.until("reservation_committed", 1).await;
    for _ in 0..2 {
        shop.release(order).await;
    }
    shop.until("reservation_released", 1).await;
    assert_eq!(shop.available("BEANS").await, 5);
    assert_eq!(shop.count("stock_returned").await, 1);
}

#[tokio::test]
async fn a_reservation_ends_after_its_time() {
    let shop = Shop::open().await;
    shop.create("BEANS", 5).await;
    let order = an_order();
    shop.reserve(order, &[("BEANS", 2)], 1).await;
    shop.until("reservation_held", 1).await;
    shop.until("reservation_released", 1).await;
    assert_eq!(shop.available("BEANS").await, 5);
    shop.commit(order).await;
    shop.reserve(an_order(), &[("BEANS", 5)], 60).await;
    shop.until("reservation_held", 2).await;
    assert_eq!(shop.count("reservation_committed").await, 0);
}

#[tokio::test]
async fn five_hundred_buyers_get_no_more_than_there_is() {
    let shop = Shop::open().await;
    shop.create("BEANS", 10).await;
    for _ in 0..500 {
        shop.reserve(an_order(), &[("BEANS", 1)], 60).await;
    }
    shop.until("reservation_refused", 490).await;
    shop.until("reservation_held", 10).await;
    assert_eq!(shop.count("reservation_held").await, 10);
    assert_eq!(shop.available("BEANS").await, 0);
}
