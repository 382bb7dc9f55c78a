#![allow(clippy::unwrap_used)]

mod cancelling;
mod refunding;

use shop_kernel::{Currency, Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::Personal;
use stanchion::eventsourcing::testing::{Given, given};
use uuid::Uuid;

use super::*;
use crate::domain::ledger::Entries;

const INTENT: &str = "pi_1";

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn euros(amount: i64) -> Money {
    Money::new(amount, Currency::EUR)
}

fn order() -> OrderId {
    OrderId(id(2))
}

fn refund(n: u128) -> RefundId {
    RefundId(id(n))
}

pub(super) fn payment_method() -> Personal<String> {
    Personal::Sealed {
        subject: id(3).to_string(),
        cipher: "AQ".into(),
    }
}

fn authorize() -> Action {
    Action::Authorize {
        payment_id: PaymentId(id(1)),
        order_id: order(),
        customer_id: UserId(id(3)),
        amount: euros(1_000),
        payment_method: payment_method(),
    }
}

fn cancel() -> Action {
    Action::Cancel { order_id: order() }
}

fn requested() -> PaymentEvent {
    PaymentEvent::Requested {
        payment_id: PaymentId(id(1)),
        order_id: order(),
        customer_id: UserId(id(3)),
        amount: euros(1_000),
        payment_method: payment_method(),
        at: at(0),
    }
}

fn authorized() -> PaymentEvent {
    PaymentEvent::Authorized {
        order_id: order(),
        intent: INTENT.into(),
        at: at(0),
    }
}

fn capture_requested() -> PaymentEvent {
    PaymentEvent::CaptureRequested {
        intent: INTENT.into(),
        amount: euros(1_000),
        at: at(0),
    }
}

fn captured() -> PaymentEvent {
    PaymentEvent::Captured {
        order_id: order(),
        amount: euros(1_000),
        entries: Entries::sale(euros(1_000)).unwrap(),
        at: at(0),
    }
}

fn declined(code: &str) -> PaymentEvent {
    PaymentEvent::Declined {
        order_id: order(),
        code: code.into(),
        at: at(0),
    }
}

fn void_requested() -> PaymentEvent {
    PaymentEvent::VoidRequested {
        intent: INTENT.into(),
        at: at(0),
    }
}

fn cancelled() -> PaymentEvent {
    PaymentEvent::Cancelled {
        order_id: order(),
        at: at(0),
    }
}

fn refund_requested(refund_id: RefundId, amount: i64) -> PaymentEvent {
    PaymentEvent::RefundRequested {
        refund_id,
        intent: INTENT.into(),
        amount: euros(amount),
        at: at(0),
    }
}

fn refunded(refund_id: RefundId, amount: i64) -> PaymentEvent {
    PaymentEvent::Refunded {
        refund_id,
        amount: euros(amount),
        entries: Entries::refund(euros(amount)).unwrap(),
        at: at(0),
    }
}

fn own_refund(n: usize) -> RefundId {
    RefundId(Uuid::new_v5(&id(1), format!("cancel/{n}").as_bytes()))
}

fn a_captured_payment() -> Given<Payment> {
    given::<Payment>([requested(), authorized(), capture_requested(), captured()])
}

fn ask(refund_id: RefundId, amount: impl Into<Option<i64>>) -> PaymentCommand {
    let amount = amount.into().map(euros);
    Action::RequestRefund { refund_id, amount }.at(at(0))
}

fn decided(payment: &Payment, action: Action) -> Vec<PaymentEvent> {
    payment.decide(&action.at(at(0))).unwrap()
}

#[test]
fn a_payment_is_requested_once() {
    given::<Payment>([])
        .when(authorize().at(at(0)))
        .then([requested()])
        .when(authorize().at(at(1)))
        .then_nothing();
}

#[test]
fn a_payment_of_nothing_is_made_without_the_gateway() {
    let asked = match authorize() {
        Action::Authorize {
            payment_id,
            order_id,
            customer_id,
            payment_method,
            ..
        } => {
            let amount = euros(0);
            Action::Authorize {
                payment_id,
                order_id,
                customer_id,
                amount,
                payment_method,
            }
        }
        other => other,
    };
    let reserved = given::<Payment>(decided(&Payment::default(), asked));
    assert_eq!(reserved.state().status(), Status::Authorized);
    let taken = reserved.state().clone();
    let events = decided(&taken, Action::Capture);
    assert!(matches!(events[1], PaymentEvent::Captured { .. }));
    let events = decided(&taken, cancel());
    assert_eq!(
        events[1..],
        [PaymentEvent::Voided { at: at(0) }, cancelled()]
    );
}

#[test]
fn an_authorization_is_recorded_once_however_often_it_is_told() {
    let told = || Action::RecordAuthorized {
        intent: INTENT.into(),
    };
    given::<Payment>([requested()])
        .when(told().at(at(0)))
        .then([authorized()])
        .when(told().at(at(1)))
        .then_nothing();
}

#[test]
fn a_capture_needs_an_authorization() {
    given::<Payment>([requested()])
        .when(Action::Capture.at(at(0)))
        .then_refused(PaymentRefusal::NotAuthorized);
    given::<Payment>([])
        .when(Action::Capture.at(at(0)))
        .then_refused(PaymentRefusal::Unknown);
}

#[test]
fn a_capture_moves_money_that_balances() {
    let told = Action::RecordCaptured {
        intent: INTENT.into(),
    };
    let after = given::<Payment>([requested(), authorized()])
        .when(Action::Capture.at(at(0)))
        .then([capture_requested()])
        .when(told.at(at(0)))
        .then([captured()])
        .when(Action::Capture.at(at(0)))
        .then_nothing();
    assert_eq!(after.state().status(), Status::Captured);
}

#[test]
fn a_capture_that_the_gateway_told_of_first_is_confirmed_when_asked_for() {
    let told = Action::RecordCaptured {
        intent: INTENT.into(),
    };
    given::<Payment>([requested()])
        .when(told.at(at(0)))
        .then([authorized(), captured()])
        .when(Action::Capture.at(at(0)))
        .then([PaymentEvent::CaptureConfirmed {
            order_id: order(),
            at: at(0),
        }])
        .when(Action::Capture.at(at(0)))
        .then_nothing();
}

#[test]
fn a_failed_capture_is_answered_once_nothing_is_reserved_any_more() {
    let told = Action::RecordCaptureFailed {
        code: "expired_card".into(),
    };
    let failed = PaymentEvent::CaptureFailed {
        code: "expired_card".into(),
        at: at(0),
    };
    let voided = PaymentEvent::Voided { at: at(0) };
    let after = given::<Payment>([requested(), authorized(), capture_requested()])
        .when(told.at(at(0)))
        .then([failed, void_requested()])
        .when(Action::RecordVoided.at(at(0)))
        .then([voided, declined("expired_card")]);
    assert_eq!(after.state().status(), Status::Declined);
}

#[test]
fn an_authorization_that_ended_by_itself_declines_the_capture() {
    given::<Payment>([requested(), authorized()])
        .when(Action::RecordVoided.at(at(0)))
        .then([PaymentEvent::Voided { at: at(0) }])
        .when(Action::Capture.at(at(0)))
        .then([declined("authorization_ended")]);
}

#[test]
fn a_contradicting_gateway_is_an_alarm() {
    let told = Action::RecordCaptured {
        intent: INTENT.into(),
    };
    given::<Payment>([requested(), declined("card_declined")])
        .when(told.at(at(0)))
        .then_refused(PaymentRefusal::Contradiction(
            "captured after it was voided or declined",
        ));
}

#[test]
fn events_keep_their_stored_form() {
    let stored = serde_json::to_value(captured()).unwrap();
    let back: PaymentEvent = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(back, captured());
    let entry = |account: &str, amount: i64| serde_json::json!({"account": account, "amount": amount, "currency": "EUR"});
    let expected = serde_json::json!({
        "type": "captured",
        "data": {
            "order_id": order(),
            "amount": {"amount": 1_000, "currency": "EUR"},
            "entries": [entry("gateway", 1_000), entry("sales", -1_000)],
            "at": "2027-01-15T08:00:00Z",
        },
    });
    assert_eq!(stored, expected);
}
