//! Placing an order: prices from the catalogue, then the aggregate decides.

use std::collections::HashMap;

use shop_kernel::{OrderId, PaymentId, Sku, UserId};
use stanchion::eventsourcing::{ExecuteError, Executed, Personal, ReadError, Version};
use stanchion::messaging::{InboxEntry, Metadata};
use tracing::{Instrument, info_span};

use super::Orders;
use super::ports::{CatalogUnavailable, Priced};
use crate::domain::order::{
    ItemFault, Line, Order, OrderCommand, OrderRefusal, Place, QUANTITY_MAX,
};

/// What a customer asks for. A product that is named several times is one item with the sum.
#[derive(Clone, Debug)]
pub(crate) struct PlaceOrder {
    pub(crate) customer_id: UserId,
    pub(crate) wishes: Vec<Wish>,
    pub(crate) payment_method: String,
}

/// So many of a product.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) sku: Sku,
    pub(crate) quantity: i64,
}

/// Why an order was not placed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// Some wishes cannot be met, by their place in the list.
    #[error("some items cannot be ordered")]
    Items(Vec<(usize, WishFault)>),
    #[error(transparent)]
    Catalog(#[from] CatalogUnavailable),
    /// The payment method cannot be sealed.
    #[error(transparent)]
    Sealing(#[from] ReadError),
    #[error(transparent)]
    Execute(ExecuteError<OrderRefusal>),
}

/// Why a wish cannot be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WishFault {
    UnknownSku,
    Item(ItemFault),
}

/// Places an order; `settling` makes the inbox row that commits with it.
pub(crate) async fn place_order(
    orders: &Orders,
    wanted: PlaceOrder,
    metadata: &Metadata,
    settling: impl Fn(&Order, Version) -> Option<InboxEntry> + Send + Sync,
) -> Result<Executed<Order>, PlaceError> {
    let order_id = OrderId(stanchion::runtime::id::new_v7());
    let span = info_span!("order.process", order.id = %order_id);
    place(orders, order_id, wanted, metadata, settling)
        .instrument(span)
        .await
}

async fn place(
    orders: &Orders,
    order_id: OrderId,
    wanted: PlaceOrder,
    metadata: &Metadata,
    settling: impl Fn(&Order, Version) -> Option<InboxEntry> + Send + Sync,
) -> Result<Executed<Order>, PlaceError> {
    let merged = merged(&wanted.wishes)?;
    let skus: Vec<Sku> = merged.iter().map(|(_, wish)| wish.sku.clone()).collect();
    let prices = orders.catalog.prices(&skus).await?;
    let payment_method = Personal::new(wanted.customer_id.to_string(), wanted.payment_method);
    let payment_method = payment_method.sealed(&*orders.vault).await?;
    let command = OrderCommand::Place(Place {
        order_id,
        customer_id: wanted.customer_id,
        payment_id: PaymentId(stanchion::runtime::id::new_v7()),
        lines: priced(&merged, prices)?,
        payment_method,
        at: stanchion::runtime::clock::now(),
    });
    let id = order_id.to_string();
    let execution = orders.repository.on(&id, metadata).settling(settling);
    let executed = execution.execute(&command).await;
    executed.map_err(|error| named(error, &merged))
}

/// Each product once, with the place where it is named first.
fn merged(wishes: &[Wish]) -> Result<Vec<(usize, Wish)>, PlaceError> {
    let mut merged: Vec<(usize, Wish)> = Vec::with_capacity(wishes.len());
    let mut places: HashMap<&Sku, usize> = HashMap::new();
    for (index, wish) in wishes.iter().enumerate() {
        let Some(&place) = places.get(&wish.sku) else {
            places.insert(&wish.sku, merged.len());
            merged.push((index, wish.clone()));
            continue;
        };
        let quantity = &mut merged[place].1.quantity;
        *quantity = quantity.saturating_add(wish.quantity);
        if *quantity > QUANTITY_MAX {
            let fault = WishFault::Item(ItemFault::Quantity);
            return Err(PlaceError::Items(vec![(index, fault)]));
        }
    }
    Ok(merged)
}

/// The lines of the order, or every product that is not on offer.
fn priced(merged: &[(usize, Wish)], prices: Vec<Option<Priced>>) -> Result<Vec<Line>, PlaceError> {
    let mut unknown = Vec::new();
    let mut lines = Vec::with_capacity(merged.len());
    let prices = prices.into_iter().chain(std::iter::repeat(None));
    for ((index, wish), price) in merged.iter().zip(prices) {
        match price.filter(|priced| priced.sku == wish.sku) {
            None => unknown.push((*index, WishFault::UnknownSku)),
            Some(priced) => lines.push(Line {
                sku: priced.sku,
                name: priced.name,
                quantity: wish.quantity,
                unit_price: priced.price,
            }),
        }
    }
    if unknown.is_empty() {
        Ok(lines)
    } else {
        Err(PlaceError::Items(unknown))
    }
}

/// A refused item by its place in what was asked for.
fn named(error: ExecuteError<OrderRefusal>, merged: &[(usize, Wish)]) -> PlaceError {
    match error {
        ExecuteError::Refused(OrderRefusal::Item { index, fault }) => {
            let asked = merged.get(index).map_or(index, |(asked, _)| *asked);
            PlaceError::Items(vec![(asked, WishFault::Item(fault))])
        }
        other => PlaceError::Execute(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(sku: &str, quantity: i64) -> Wish {
        let sku = sku.parse().unwrap();
        Wish { sku, quantity }
    }

    #[test]
    fn a_product_named_twice_is_one_item_with_the_sum() {
        let merged = merged(&[wish("A", 1), wish("B", 2), wish("A", 3)]).unwrap();
        assert_eq!(merged, [(0, wish("A", 4)), (1, wish("B", 2))]);
    }

    #[test]
    fn the_sum_has_the_limit_of_one_item() {
        let wishes = [wish("A", QUANTITY_MAX), wish("B", 1), wish("A", 1)];
        let Err(PlaceError::Items(faults)) = merged(&wishes) else {
            panic!("too many are taken");
        };
        assert_eq!(faults, [(2, WishFault::Item(ItemFault::Quantity))]);
    }

    #[test]
    fn a_catalogue_that_answers_too_little_sells_nothing() {
        let wishes = [(0, wish("A", 1))];
        assert!(priced(&wishes, vec![]).is_err());
    }
}
