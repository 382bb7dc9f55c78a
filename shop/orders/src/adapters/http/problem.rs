//! What can go wrong with an order, as a client is told.

use shop_kernel::OrderId;
use stanchion::server::{Code, Problem, Violations};

use crate::application::ReadError;
use crate::application::place_order::{PlaceError, WishFault};
use crate::domain::order::{ItemFault, OrderRefusal};

pub(super) const ORDER_NOT_FOUND: Code =
    Code::not_found("ORDER_NOT_FOUND", "There is no such order.");
pub(super) const USER_NOT_FOUND: Code = Code::not_found("USER_NOT_FOUND", "There is no such user.");
pub(super) const ORDER_NOT_CANCELLABLE: Code = Code::conflict(
    "ORDER_NOT_CANCELLABLE",
    "The order was rejected: there is nothing left to cancel.",
);

pub(super) fn not_found(order_id: OrderId) -> Problem {
    ORDER_NOT_FOUND.with("order_id", order_id)
}

pub(super) fn unread(error: ReadError, order_id: OrderId) -> Problem {
    match error {
        ReadError::NotFound => not_found(order_id),
        ReadError::Log(error) => error.into(),
    }
}

impl From<PlaceError> for Problem {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Items(faults) => wrong_items(&faults),
            PlaceError::Catalog(error) => Self::unavailable(error),
            PlaceError::Sealing(error) => Self::unavailable(error),
            PlaceError::Execute(error) => error.into(),
        }
    }
}

impl From<OrderRefusal> for Problem {
    fn from(refusal: OrderRefusal) -> Self {
        match refusal {
            // Ids are made for each placing.
            OrderRefusal::AlreadyPlaced => Self::internal(refusal),
            OrderRefusal::NotFound => ORDER_NOT_FOUND.problem(),
            OrderRefusal::NotCancellable => ORDER_NOT_CANCELLABLE.problem(),
            OrderRefusal::ItemCount => Self::invalid_field("items", &refusal.to_string()),
            OrderRefusal::Item { index, fault } => wrong_items(&[(index, WishFault::Item(fault))]),
        }
    }
}

fn wrong_items(faults: &[(usize, WishFault)]) -> Problem {
    let mut violations = Violations::default();
    for (index, fault) in faults {
        let (field, reason) = match fault {
            WishFault::UnknownSku => ("sku", "is not a product on offer".to_owned()),
            WishFault::Item(fault @ (ItemFault::Currency | ItemFault::Duplicate)) => {
                ("sku", fault.to_string())
            }
            WishFault::Item(fault) => ("quantity", fault.to_string()),
        };
        violations.add(&format!("items[{index}].{field}"), reason);
    }
    Problem::validation(violations)
}
