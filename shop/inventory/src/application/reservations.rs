//! What other contexts may ask of the stock: reserve, commit, release.

use std::sync::Arc;

use shop_contracts::{CommitStock, ReleaseStock, ReserveStock};
use stanchion::eventsourcing::{ProcessManager, Repository};
use stanchion::messaging::Consumer;

use crate::domain::reservation::{Reservation, ReservationCommand};

/// Reservations, told by contracts and by their own time.
pub(crate) fn process(
    reservations: Arc<Repository<Reservation>>,
    consumer: Consumer,
) -> ProcessManager<Reservation> {
    let process = ProcessManager::new(reservations, consumer);
    #[cfg(feature = "next")]
    let process = process.on::<shop_contracts::ReserveStockV2>(|reserve, _| {
        let (items, until) = (reserve.lines, reserve.until);
        let customer_id = Some(reserve.customer_id);
        (
            reserve.order_id.to_string(),
            ReservationCommand::Request {
                items,
                until,
                customer_id,
            },
        )
    });
    process
        .on::<ReserveStock>(|reserve, _| {
            let (items, until) = (reserve.items, reserve.until);
            (
                reserve.order_id.to_string(),
                ReservationCommand::Request {
                    items,
                    until,
                    #[cfg(feature = "next")]
                    customer_id: None,
                },
            )
        })
        .on::<CommitStock>(|commit, _| (commit.order_id.to_string(), ReservationCommand::Commit))
        .on::<ReleaseStock>(|release, _| {
            (release.order_id.to_string(), ReservationCommand::Release)
        })
        .on_timer(|_, now| ReservationCommand::Expire { at: now })
}
