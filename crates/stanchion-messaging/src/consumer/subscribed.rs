//! What is asked of a subscription that may not be there yet.

use crate::{BrokerError, Delivery, Receipt, Subscription};

/// The next delivery; none comes before somebody has subscribed.
pub(super) async fn next(
    subscription: &mut Option<Box<dyn Subscription>>,
) -> Result<Delivery, BrokerError> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn acknowledge(
    subscription: &mut Option<Box<dyn Subscription>>,
    receipts: &[Receipt],
) -> Result<(), String> {
    let Some(subscription) = subscription else {
        return Ok(());
    };
    let acknowledged = subscription.acknowledge_all(receipts).await;
    acknowledged.map_err(|error| error.to_string())
}

pub(super) async fn extend_all(
    subscription: &mut Option<Box<dyn Subscription>>,
    receipts: &[Receipt],
) -> Result<(), String> {
    let Some(subscription) = subscription else {
        return Ok(());
    };
    if receipts.is_empty() {
        return Ok(());
    }
    let extended = subscription.extend_all(receipts).await;
    extended.map_err(|error| error.to_string())
}

pub(super) fn takes_no_more(subscription: &mut Option<Box<dyn Subscription>>) {
    if let Some(subscription) = subscription {
        subscription.takes_no_more();
    }
}
