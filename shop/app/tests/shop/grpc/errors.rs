//! What is refused, in gRPC's words, with the code that REST answers with.

use shop_contracts::grpc::order::v1::{ListOrdersRequest, PlaceOrderRequest};
use shop_contracts::grpc::user::v1::{CreateUserRequest, UpdateUserRequest};
use tonic::Code;
use tonic_types::StatusExt;

use super::{cancel_order, get_order, new_order, watch_order};
use crate::support::grpc::{refused, violations};
use crate::support::{Shop, items};

const UNKNOWN: &str = "018f0000-0000-7000-8000-000000000000";

#[tokio::test]
async fn what_is_wrong_with_a_message_is_named_field_by_field() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;

    let wrong = PlaceOrderRequest {
        payment_method: "pm card".into(),
        ..new_order("MUG-BLUE", 0)
    };
    let found = violations(grpc.orders.place_order(ada.keyed("key-1", wrong)).await);
    assert_eq!(found["items[0].quantity"], "must be 1 to 1000000");
    assert!(found.contains_key("payment_method"), "{found:?}");
    // The key is not used up by what could not be read; it is by what the shop's rules refuse.
    let placing = ada.keyed("key-1", new_order("NO-SUCH", 1));
    let found = violations(grpc.orders.place_order(placing).await);
    assert_eq!(found["items[0].sku"], "is not a product on offer");
    let placing = ada.keyed("key-2", new_order("not a sku", 1));
    let found = violations(grpc.orders.place_order(placing).await);
    assert!(found.contains_key("items[0].sku"), "{found:?}");
    let found = violations(grpc.orders.get_order(ada.call(get_order("7"))).await);
    assert_eq!(found["id"], "not a UUID");
    let watching = ada.call(watch_order(UNKNOWN, Some(-1)));
    assert!(violations(grpc.orders.watch_order(watching).await).contains_key("after_version"));
    let listing = ListOrdersRequest {
        limit: Some(101),
        ..Default::default()
    };
    let found = violations(grpc.orders.list_orders(ada.call(listing)).await);
    assert_eq!(found["limit"], "must be a number from 1 to 100");
    let new = CreateUserRequest {
        password: "short".into(),
        ..Default::default()
    };
    let found = violations(grpc.users.create_user(new).await);
    let fields: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(fields, ["email", "password", "username"]);
}

#[tokio::test]
async fn a_key_is_required_and_good_for_one_message() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    let keyless = grpc
        .orders
        .place_order(ada.call(new_order("MUG-BLUE", 1)))
        .await;
    let required = "IDEMPOTENCY_KEY_REQUIRED".to_owned();
    assert_eq!(refused(keyless), (Code::InvalidArgument, required));

    let placing = ada.keyed("key-1", new_order("MUG-BLUE", 1));
    grpc.orders.place_order(placing).await.unwrap();
    let placing = ada.keyed("key-1", new_order("MUG-BLUE", 2));
    let other = grpc.orders.place_order(placing).await;
    let reused = "IDEMPOTENCY_KEY_REUSED".to_owned();
    assert_eq!(refused(other), (Code::FailedPrecondition, reused));

    // Scoped to the route: REST has its own.
    let order = items(&[("MUG-BLUE", 1)], crate::support::VISA);
    let rest = ada.post("/orders").key("key-1").json(&order).send().await;
    rest.expect(202);
}

#[tokio::test]
async fn each_problem_has_its_status_and_its_reason() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;

    let status = grpc
        .orders
        .get_order(ada.call(get_order(UNKNOWN)))
        .await
        .unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (Code::NotFound, "ORDER_NOT_FOUND")
    );
    assert_eq!(info.metadata["order_id"], UNKNOWN);

    let again = CreateUserRequest {
        email: "ADA@example.com".into(),
        username: "another".into(),
        password: "long enough for this".into(),
        ..Default::default()
    };
    let taken = grpc.users.create_user(again).await;
    assert_eq!(
        refused(taken),
        (Code::AlreadyExists, "EMAIL_TAKEN".to_owned())
    );

    let foreign = ListOrdersRequest {
        cursor: Some("bm90IG91cnM".into()),
        ..Default::default()
    };
    let foreign = grpc.orders.list_orders(ada.call(foreign)).await;
    assert_eq!(
        refused(foreign),
        (Code::InvalidArgument, "INVALID_CURSOR".to_owned())
    );

    let declined = items(&[("MUG-BLUE", 1)], "pm_card_chargeDeclined");
    let rejected = ada.order(&declined).await.text_at("/id");
    let cancelling = ada.call(cancel_order(&rejected, None));
    let cancelled = grpc.orders.cancel_order(cancelling).await;
    let reason = "ORDER_NOT_CANCELLABLE".to_owned();
    assert_eq!(refused(cancelled), (Code::FailedPrecondition, reason));

    let stale = UpdateUserRequest {
        id: ada.id.clone(),
        first_name: Some("Augusta".into()),
        expected_version: Some(99),
        ..Default::default()
    };
    let stale = grpc.users.update_user(ada.call(stale)).await;
    assert_eq!(
        refused(stale),
        (Code::Aborted, "PRECONDITION_FAILED".to_owned())
    );
}
