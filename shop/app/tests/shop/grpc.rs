//! The shop by gRPC: the same users, orders, products and payments as by REST, under the same rules.

mod errors;
mod journey;
mod products;
mod reflection;
mod stop;
mod users;
mod who_may;

use shop_contracts::grpc::order::v1 as order;

/// An order of one product.
pub(crate) fn new_order(sku: &str, quantity: i64) -> order::PlaceOrderRequest {
    order::PlaceOrderRequest {
        items: vec![order::NewOrderItem {
            sku: sku.to_owned(),
            quantity,
        }],
        payment_method: crate::support::VISA.to_owned(),
        customer_id: None,
    }
}

fn get_order(id: &str) -> order::GetOrderRequest {
    let id = id.to_owned();
    order::GetOrderRequest { id }
}

fn cancel_order(id: &str, expected_version: Option<i64>) -> order::CancelOrderRequest {
    order::CancelOrderRequest {
        id: id.to_owned(),
        expected_version,
    }
}

fn watch_order(id: &str, after_version: Option<i64>) -> order::WatchOrderRequest {
    order::WatchOrderRequest {
        id: id.to_owned(),
        after_version,
    }
}
