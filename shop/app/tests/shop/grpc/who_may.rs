//! Who may call what: as by REST, and what is somebody else's is not there.

use futures_util::stream;
use shop_contracts::grpc::inventory::v1::{GetProductRequest, ListProductsRequest};
use shop_contracts::grpc::order::v1::{ListOrdersRequest, PlaceOrderRequest};
use shop_contracts::grpc::payment::v1::{GetPaymentRequest, RefundRequest};
use shop_contracts::grpc::user::v1::{
    DeleteUserRequest, GetUserRequest, ListUsersRequest, StreamUsersRequest, UpdateUserRequest,
};
use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

use super::{cancel_order, get_order, new_order, watch_order};
use crate::support::{Shop, item};

/// The status, and the permission that lacks.
#[track_caller]
fn lacks<T>(result: Result<Response<T>, Status>) -> String {
    let Err(status) = result else {
        panic!("it was allowed");
    };
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    status.get_details_error_info().unwrap().metadata["permission"].clone()
}

#[track_caller]
fn code<T>(result: Result<Response<T>, Status>) -> Code {
    match result {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn without_a_token_products_can_be_looked_at_and_nothing_else() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let nobody = shop.anyone();
    let sku = "MUG-BLUE".to_owned();
    assert_eq!(
        code(grpc.inventory.get_product(GetProductRequest { sku }).await),
        Code::Ok
    );
    let listed = grpc
        .inventory
        .list_products(ListProductsRequest::default())
        .await;
    assert_eq!(code(listed), Code::Ok);
    let id = "018f0000-0000-7000-8000-000000000000";
    let closed = [
        code(
            grpc.orders
                .place_order(nobody.keyed("k", new_order("MUG-BLUE", 1)))
                .await,
        ),
        code(grpc.orders.get_order(get_order(id)).await),
        code(grpc.orders.list_orders(ListOrdersRequest::default()).await),
        code(grpc.orders.cancel_order(cancel_order(id, None)).await),
        code(grpc.orders.watch_order(watch_order(id, None)).await),
        code(
            grpc.payments
                .get_payment(GetPaymentRequest { id: id.into() })
                .await,
        ),
        code(grpc.payments.refund(RefundRequest::default()).await),
        code(
            grpc.users
                .get_user(GetUserRequest { id: "me".into() })
                .await,
        ),
        code(grpc.users.update_user(UpdateUserRequest::default()).await),
        code(grpc.users.delete_user(DeleteUserRequest::default()).await),
        code(grpc.users.list_users(ListUsersRequest::default()).await),
        code(grpc.users.stream_users(StreamUsersRequest::default()).await),
        code(grpc.inventory.import_products(stream::empty()).await),
        code(grpc.inventory.sync_stock(stream::empty()).await),
    ];
    assert_eq!(closed, [Code::Unauthenticated; 14]);
}

#[tokio::test]
async fn a_customer_lacks_what_staff_may() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let ada = shop.customer("ada").await;
    let listing = ada.call(ListUsersRequest::default());
    assert_eq!(lacks(grpc.users.list_users(listing).await), "user:read");
    let streaming = ada.call(StreamUsersRequest::default());
    assert_eq!(lacks(grpc.users.stream_users(streaming).await), "user:read");
    let importing = ada.call(stream::empty());
    assert_eq!(
        lacks(grpc.inventory.import_products(importing).await),
        "inventory:write"
    );
    let syncing = ada.call(stream::empty());
    assert_eq!(
        lacks(grpc.inventory.sync_stock(syncing).await),
        "inventory:write"
    );
    let refunding = ada.keyed("k", RefundRequest::default());
    assert_eq!(
        lacks(grpc.payments.refund(refunding).await),
        "payment:refund"
    );
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_there_but_for_staff() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    let order = ada.order(&item("MUG-BLUE", 1)).await;
    let (id, payment) = (order.text_at("/id"), order.text_at("/payment_id"));
    let for_ada = || PlaceOrderRequest {
        customer_id: Some(ada.id.clone()),
        ..new_order("MUG-BLUE", 1)
    };
    let of_ada = || ListOrdersRequest {
        customer_id: Some(ada.id.clone()),
        ..Default::default()
    };
    let user = || GetUserRequest { id: ada.id.clone() };
    let paid = || GetPaymentRequest {
        id: payment.clone(),
    };
    let hidden = [
        code(grpc.orders.get_order(bob.call(get_order(&id))).await),
        code(
            grpc.orders
                .watch_order(bob.call(watch_order(&id, None)))
                .await,
        ),
        code(
            grpc.orders
                .cancel_order(bob.call(cancel_order(&id, None)))
                .await,
        ),
        code(grpc.orders.place_order(bob.keyed("k", for_ada())).await),
        code(grpc.orders.list_orders(bob.call(of_ada())).await),
        code(grpc.payments.get_payment(bob.call(paid())).await),
        code(grpc.users.get_user(bob.call(user())).await),
    ];
    assert_eq!(hidden, [Code::NotFound; 7]);

    let staff = shop.staff("grace").await;
    let seen = [
        code(grpc.orders.get_order(staff.call(get_order(&id))).await),
        code(grpc.orders.place_order(staff.keyed("k", for_ada())).await),
        code(grpc.orders.list_orders(staff.call(of_ada())).await),
        code(grpc.payments.get_payment(staff.call(paid())).await),
        code(grpc.users.get_user(staff.call(user())).await),
    ];
    assert_eq!(seen, [Code::Ok; 5]);
    // Who may see may not change.
    let renaming = UpdateUserRequest {
        id: ada.id.clone(),
        first_name: Some("Augusta".into()),
        ..Default::default()
    };
    let renamed = grpc.users.update_user(staff.call(renaming)).await;
    assert_eq!(lacks(renamed), "user:write");
}
