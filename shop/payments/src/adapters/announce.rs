//! Which events become which contracts.

#[cfg(test)]
mod tests;

use shop_contracts::{PaymentAuthorized, PaymentCancelled, PaymentCaptured, PaymentDeclined};
use shop_kernel::PaymentId;
use stanchion::eventsourcing::{Announcement, Recorded, UnknownEvent};

use crate::application::gateway_requests::{
    GatewayAuthorizationRequested, GatewayCaptureRequested, GatewayRefundRequested,
    GatewayVoidRequested,
};
use crate::domain::payment::PaymentEvent as Event;

/// The contracts of one log entry: an answer to orders, a request to the gateway, or none.
pub(crate) fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    let payment_id = payment_id(recorded)?;
    let event = recorded.decode::<Event>()?;
    Ok(answer(payment_id, &event)
        .or_else(|| request(payment_id, &event))
        .into_iter()
        .collect())
}

/// The payment an entry is about: the id of its stream.
pub(crate) fn payment_id(recorded: &Recorded) -> Result<PaymentId, UnknownEvent> {
    let id = recorded.stream.id().parse();
    id.map_err(|_| UnknownEvent(format!("{} is no payment's stream", recorded.stream)))
}

/// What orders wait for.
fn answer(payment_id: PaymentId, event: &Event) -> Option<Announcement> {
    Some(match event {
        Event::Authorized { order_id, .. } => Announcement::of(&PaymentAuthorized {
            order_id: *order_id,
            payment_id,
        }),
        Event::Declined { order_id, code, .. } => Announcement::of(&PaymentDeclined {
            order_id: *order_id,
            payment_id,
            code: code.clone(),
        }),
        Event::Captured { order_id, .. } | Event::CaptureConfirmed { order_id, .. } => {
            Announcement::of(&PaymentCaptured {
                order_id: *order_id,
                payment_id,
            })
        }
        Event::Cancelled { order_id, .. } => Announcement::of(&PaymentCancelled {
            order_id: *order_id,
            payment_id,
        }),
        _ => return None,
    })
}

/// What the gateway is to be called for.
fn request(payment_id: PaymentId, event: &Event) -> Option<Announcement> {
    Some(match event.clone() {
        Event::Requested {
            order_id,
            amount,
            payment_method,
            ..
        } => Announcement::of(&GatewayAuthorizationRequested {
            payment_id,
            order_id,
            amount,
            payment_method,
        }),
        Event::CaptureRequested { intent, amount, .. } => {
            Announcement::of(&GatewayCaptureRequested {
                payment_id,
                intent,
                amount,
            })
        }
        Event::VoidRequested { intent, .. } => {
            Announcement::of(&GatewayVoidRequested { payment_id, intent })
        }
        Event::RefundRequested {
            refund_id,
            intent,
            amount,
            ..
        } => Announcement::of(&GatewayRefundRequested {
            payment_id,
            refund_id,
            intent,
            amount,
        }),
        _ => return None,
    })
}
