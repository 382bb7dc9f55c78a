//! Waiting for what happens to an order: the log's changes are the hint, its stream the truth.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{Stream, stream};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{Position, Recorded, Version};
use tokio::sync::watch;
use tracing::warn;

use super::Orders;
use super::read_order::history;
use crate::domain::order::{Order, OrderEvent};

/// How long the log's hint is trusted before the stream is looked at anyway.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// How soon it is looked at again, however busy the log is.
const LOOK_MIN: Duration = Duration::from_millis(20);

/// The order once it is settled. Bounded by whoever waits; reading failures are waited out.
pub(crate) async fn wait_until_settled(orders: &Orders, order_id: OrderId) -> (Order, Version) {
    let id = order_id.to_string();
    let mut changes = orders.repository.log().changes();
    loop {
        changes.borrow_and_update();
        match orders.repository.load(&id).await {
            Ok(loaded) if loaded.state.status.is_settled() => {
                return (loaded.state, loaded.version.unwrap_or(Version(0)));
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "a settled order is waited for, its log cannot be read"),
        }
        log_changed(&mut changes).await;
    }
}

/// What happens to an order from version `from` on, until nothing can happen to it any more;
/// `over` says that nothing can from the start.
///
/// It ends also when the log cannot be read: the client comes back with the last version it saw.
pub(crate) fn watch_order(
    orders: Orders,
    order_id: OrderId,
    from: Version,
    over: bool,
) -> impl Stream<Item = Recorded> + Send + 'static {
    let watching = Watching {
        changes: orders.repository.log().changes(),
        orders,
        order_id,
        from,
        read: VecDeque::new(),
        over,
    };
    stream::unfold(watching, |mut watching| async {
        let event = watching.next().await?;
        Some((event, watching))
    })
}

struct Watching {
    orders: Orders,
    order_id: OrderId,
    from: Version,
    read: VecDeque<Recorded>,
    changes: watch::Receiver<Position>,
    over: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Recorded> {
        loop {
            if let Some(recorded) = self.read.pop_front() {
                self.from = Version(recorded.version.0 + 1);
                self.over |= is_last(&recorded);
                return Some(recorded);
            }
            if self.over {
                return None;
            }
            self.look().await?;
            if self.read.is_empty() {
                log_changed(&mut self.changes).await;
            }
        }
    }

    async fn look(&mut self) -> Option<()> {
        self.changes.borrow_and_update();
        match history(&self.orders, self.order_id, self.from).await {
            Ok(events) => self.read.extend(events),
            Err(error) => {
                warn!(%error, "a watch ends, its log cannot be read");
                return None;
            }
        }
        Some(())
    }
}

/// Whether nothing can follow this event.
fn is_last(recorded: &Recorded) -> bool {
    matches!(
        recorded.decode::<OrderEvent>(),
        Ok(OrderEvent::OrderRejected { .. } | OrderEvent::OrderCancelled { .. })
    )
}

async fn log_changed(changes: &mut watch::Receiver<Position>) {
    tokio::time::sleep(LOOK_MIN).await;
    let changed = tokio::time::timeout(LOOK_MAX, changes.changed()).await;
    // A log that is gone answers at once; the loop stays slow all the same.
    if matches!(changed, Ok(Err(_))) {
        tokio::time::sleep(LOOK_MAX).await;
    }
}
