//! What customers come for, from the first to the last call.

use std::time::Duration;

use shop_contracts::grpc::common::v1::Money;
use shop_contracts::grpc::inventory::v1::ListProductsRequest;
use shop_contracts::grpc::order::v1::{ListOrdersRequest, OrderEvent, OrderStatus};
use shop_contracts::grpc::payment::v1::{
    GetPaymentRequest, PaymentStatus, RefundRequest, RefundStatus,
};
use shop_contracts::grpc::user::v1::{CreateUserRequest, GetUserRequest};
use tokio::time::timeout;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Streaming};

use super::{cancel_order, get_order, new_order, watch_order};
use crate::support::grpc::{beside, refused, with};
use crate::support::{PASSWORD, Shop, eventually, in_every_form};

const TOLD_WITHIN: Duration = Duration::from_secs(20);

in_every_form!(a_customer_registers_orders_watches_and_gets_money_back);

async fn a_customer_registers_orders_watches_and_gets_money_back(shop: Shop) {
    let mut grpc = shop.grpc().await;
    let new = CreateUserRequest {
        email: "ada@example.com".into(),
        username: "Ada".into(),
        password: PASSWORD.into(),
        first_name: Some(" Ada ".into()),
        last_name: None,
    };
    let made = grpc.users.create_user(new).await.unwrap().into_inner();
    assert_eq!((made.username.as_str(), made.first_name()), ("ada", "Ada"));
    let mut ada = shop.anyone();
    ada.log_in("ada", PASSWORD).await;
    assert_eq!(ada.id, made.id);
    let me = GetUserRequest { id: "me".into() };
    let me = grpc
        .users
        .get_user(ada.call(me))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(me.email, "ada@example.com");

    let wanted = ListProductsRequest {
        q: Some("mug".into()),
        in_stock: Some(true),
        ..Default::default()
    };
    let listed = grpc.inventory.list_products(wanted).await.unwrap();
    let mug = listed.into_inner().products.remove(0);
    let price = mug.price.unwrap();

    let placing = || ada.keyed("key-1", new_order(&mug.sku, 2));
    let placed = grpc.orders.place_order(placing()).await.unwrap();
    assert_eq!(beside(&placed, "idempotent-replayed"), None);
    let token = beside(&placed, "consistency-token").unwrap();
    let placed = placed.into_inner();
    assert_eq!(placed.status(), OrderStatus::Pending);
    assert_eq!(placed.total.as_ref().unwrap().amount, 2 * price.amount);
    let again = grpc.orders.place_order(placing()).await.unwrap();
    let replayed = beside(&again, "idempotent-replayed");
    assert_eq!(replayed.as_deref(), Some("true"));
    assert_eq!(again.into_inner(), placed);
    let listing = ada.call(ListOrdersRequest::default());
    let listing = with(listing, "consistency-token", &token);
    let listed = grpc.orders.list_orders(listing).await.unwrap().into_inner();
    assert_eq!((listed.page, listed.limit), (Some(1), 20));
    assert_eq!(
        (listed.total, listed.orders[0].id.as_str()),
        (Some(1), placed.id.as_str())
    );

    let watching = ada.call(watch_order(&placed.id, None));
    let mut events = grpc
        .orders
        .watch_order(watching)
        .await
        .unwrap()
        .into_inner();
    let first = next(&mut events).await.unwrap();
    assert_eq!((first.version, first.r#type.as_str()), (0, "order_placed"));
    assert_eq!(first.placed.unwrap().items, placed.items);
    let second = next(&mut events).await.unwrap();
    assert_eq!(second.status(), OrderStatus::Confirmed);
    let seen = ada.call(get_order(&placed.id));
    let order = grpc.orders.get_order(seen).await.unwrap().into_inner();
    assert_eq!((order.status(), order.version), (OrderStatus::Confirmed, 1));
    assert!(order.settled_at.is_some());

    let id = order.payment_id.unwrap();
    let seen = ada.call(GetPaymentRequest { id: id.clone() });
    let payment = grpc.payments.get_payment(seen).await.unwrap().into_inner();
    assert_eq!(payment.status(), PaymentStatus::Captured);
    assert_eq!(payment.amount, order.total);
    let staff = shop.staff("grace").await;
    let refund = RefundRequest {
        payment_id: id.clone(),
        amount: Some(Money {
            amount: 100,
            currency: price.currency,
        }),
    };
    let refunding = || staff.keyed("refund-1", refund.clone());
    let asked = grpc
        .payments
        .refund(refunding())
        .await
        .unwrap()
        .into_inner();
    let again = grpc.payments.refund(refunding()).await.unwrap();
    let replayed = beside(&again, "idempotent-replayed");
    assert_eq!(replayed.as_deref(), Some("true"));
    assert_eq!(again.into_inner(), asked);
    let refunded = eventually("the refund is settled", TOLD_WITHIN, || async {
        let seen = ada.call(GetPaymentRequest { id: id.clone() });
        let payment = grpc.payments.clone().get_payment(seen).await.unwrap();
        let payment = payment.into_inner();
        (payment.refunds[0].status() == RefundStatus::Succeeded).then_some(payment)
    })
    .await;
    assert_eq!(refunded.status(), PaymentStatus::PartiallyRefunded);
    assert_eq!(
        (refunded.refunds.len(), refunded.refunded.unwrap().amount),
        (1, 100)
    );
}

#[tokio::test]
async fn a_watch_goes_on_behind_what_was_seen_and_ends_when_nothing_can_follow() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    let placing = ada.keyed("key-1", new_order("MUG-BLUE", 1));
    let id = grpc
        .orders
        .place_order(placing)
        .await
        .unwrap()
        .into_inner()
        .id;
    let watching = ada.call(watch_order(&id, Some(0)));
    let mut events = grpc
        .orders
        .watch_order(watching)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        next(&mut events).await.unwrap().status(),
        OrderStatus::Confirmed
    );

    let stale = ada.call(cancel_order(&id, Some(0)));
    let stale = grpc.orders.cancel_order(stale).await;
    assert_eq!(
        refused(stale),
        (Code::Aborted, "PRECONDITION_FAILED".to_owned())
    );
    let cancelling = ada.call(cancel_order(&id, Some(1)));
    let cancelled = grpc
        .orders
        .cancel_order(cancelling)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (cancelled.status(), cancelled.version),
        (OrderStatus::Cancelled, 2)
    );

    assert_eq!(next(&mut events).await.unwrap().r#type, "order_cancelled");
    assert_eq!(next(&mut events).await, None);
    let watching = ada.call(watch_order(&id, Some(2)));
    let mut over = grpc
        .orders
        .watch_order(watching)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(next(&mut over).await, None);
}

#[tokio::test]
async fn who_would_rather_wait_gets_the_order_when_it_is_settled() {
    let shop = Shop::start().await;
    let grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    // Compressed both ways, which is the client's to choose.
    let mut orders = grpc
        .orders
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    let placing = ada.keyed("key-1", new_order("MUG-BLUE", 1));
    let placing = with(placing, "prefer", "wait=9");
    let placed = orders.place_order(placing).await.unwrap();
    assert_eq!(beside(&placed, "grpc-encoding").as_deref(), Some("gzip"));
    assert_eq!(placed.into_inner().status(), OrderStatus::Confirmed);
}

#[tokio::test]
async fn a_watch_ends_with_the_token() {
    let shop = Shop::start_with(&[("SHOP__AUTH__ACCESS_TOKEN_LIFE", "4s")]).await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    let placing = ada.keyed("key-1", new_order("MUG-BLUE", 1));
    let id = grpc
        .orders
        .place_order(placing)
        .await
        .unwrap()
        .into_inner()
        .id;
    let watching = ada.call(watch_order(&id, None));
    let mut events = grpc
        .orders
        .watch_order(watching)
        .await
        .unwrap()
        .into_inner();
    let ended = loop {
        match timeout(TOLD_WITHIN, events.message()).await.unwrap() {
            Ok(event) => assert!(event.is_some(), "it ended as if nothing could follow"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        refused::<()>(Err(ended)),
        (Code::Unauthenticated, "UNAUTHENTICATED".to_owned())
    );
}

/// The next event, or that there is none.
async fn next(events: &mut Streaming<OrderEvent>) -> Option<OrderEvent> {
    let next = timeout(TOLD_WITHIN, events.message()).await;
    next.expect("nothing is told").unwrap()
}
