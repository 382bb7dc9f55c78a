//! What inventory tells the others, made of its log and of nothing else.

use serde::{Deserialize, Serialize};
use shop_contracts::{StockCommitted, StockRefused, StockReleased, StockReserved};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{Aggregate, Announcement, Recorded, UnknownEvent};
use stanchion::messaging::Contract;

use crate::domain::reservation::{Reservation, ReservationEvent};

/// Inventory to itself: the reservation of an order decided a step, the products shall follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ReservationStep {
    pub(crate) order_id: OrderId,
}

impl Contract for ReservationStep {
    const NAME: &'static str = "inventory.reservation_step.v1";

    fn key(&self) -> String {
        self.order_id.to_string()
    }
}

pub(crate) fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    if recorded.stream.category() != Reservation::CATEGORY {
        return Ok(vec![]);
    }
    let order_id = recorded.stream.id().parse::<OrderId>();
    let order_id =
        order_id.map_err(|error| UnknownEvent(format!("{}: {error}", recorded.stream)))?;
    Ok(vec![match recorded.decode::<ReservationEvent>()? {
        ReservationEvent::ReservationRequested { .. }
        | ReservationEvent::CommitStarted
        | ReservationEvent::ReleaseStarted { .. }
        | ReservationEvent::ReservationExpired { .. } => {
            Announcement::of(&ReservationStep { order_id })
        }
        ReservationEvent::ReservationHeld => Announcement::of(&StockReserved { order_id }),
        ReservationEvent::ReservationRefused { reason } => {
            Announcement::of(&StockRefused { order_id, reason })
        }
        ReservationEvent::ReservationCommitted => Announcement::of(&StockCommitted { order_id }),
        ReservationEvent::ReservationReleased => Announcement::of(&StockReleased { order_id }),
    }])
}
