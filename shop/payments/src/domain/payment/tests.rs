#![allow(clippy::unwrap_used)]

use shop_kernel::{Currency, Money, OrderId, PaymentId, UserId};
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

fn authorize() -> Action {
    Action::Authorize {
        payment_id: PaymentId(id(1)),
        order_id: order(),
        customer_id: UserId(id(3)),
        amount: euros(1_000),
        payment_method: "pm_card_visa".into(),
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
        payment_method: "pm_card_visa".into(),
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

#[test]
fn a_payment_is_requested_once() {
    given::<Payment>([])
        .when(authorize().at(at(0)))
        .then([requested()])
        .when(authorize().at(at(1)))
        .then_nothing();
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
fn a_declined_payment_is_over_and_its_cancellation_answered_at_once() {
    let told = Action::RecordDeclined {
        code: "card_declined".into(),
    };
    given::<Payment>([requested()])
        .when(told.at(at(0)))
        .then([declined("card_declined")])
        .when(cancel().at(at(0)))
        .then([PaymentEvent::CancelRequested { at: at(0) }, cancelled()])
        .when(cancel().at(at(1)))
        .then_nothing();
}

#[test]
fn a_payment_that_was_never_made_can_be_cancelled_and_is_then_never_made() {
    given::<Payment>([])
        .when(cancel().at(at(0)))
        .then([cancelled()])
        .when(authorize().at(at(1)))
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
fn cancelling_what_is_authorized_voids_it() {
    given::<Payment>([requested(), authorized()])
        .when(cancel().at(at(0)))
        .then([
            PaymentEvent::CancelRequested { at: at(0) },
            void_requested(),
        ])
        .when(Action::RecordVoided.at(at(0)))
        .then([PaymentEvent::Voided { at: at(0) }, cancelled()])
        .when(Action::RecordVoided.at(at(0)))
        .then_nothing();
}

#[test]
fn cancelling_before_the_gateway_answered_voids_once_it_has() {
    let told = Action::RecordAuthorized {
        intent: INTENT.into(),
    };
    given::<Payment>([requested()])
        .when(cancel().at(at(0)))
        .then([PaymentEvent::CancelRequested { at: at(0) }])
        .when(told.at(at(0)))
        .then([authorized(), void_requested()])
        .when(Action::RecordVoided.at(at(0)))
        .then([PaymentEvent::Voided { at: at(0) }, cancelled()]);
}

#[test]
fn cancelling_while_a_capture_is_under_way_gives_back_what_was_taken_after_all() {
    let told = Action::RecordCaptured {
        intent: INTENT.into(),
    };
    given::<Payment>([requested(), authorized(), capture_requested()])
        .when(cancel().at(at(0)))
        .then([
            PaymentEvent::CancelRequested { at: at(0) },
            void_requested(),
        ])
        .when(told.at(at(0)))
        .then([captured(), refund_requested(own_refund(0), 1_000)])
        .when(
            Action::RecordRefunded {
                refund_id: own_refund(0),
            }
            .at(at(0)),
        )
        .then([refunded(own_refund(0), 1_000), cancelled()]);
}

#[test]
fn cancelling_what_is_partly_refunded_gives_back_the_rest() {
    a_captured_payment()
        .when(ask(refund(9), 300))
        .then([refund_requested(refund(9), 300)])
        .when(cancel().at(at(0)))
        .then([
            PaymentEvent::CancelRequested { at: at(0) },
            refund_requested(own_refund(1), 700),
        ])
        .when(
            Action::RecordRefunded {
                refund_id: own_refund(1),
            }
            .at(at(0)),
        )
        .then([refunded(own_refund(1), 700)])
        .when(
            Action::RecordRefunded {
                refund_id: refund(9),
            }
            .at(at(0)),
        )
        .then([refunded(refund(9), 300), cancelled()]);
}

#[test]
fn a_cancellation_asks_again_when_its_refund_failed() {
    let told = Action::RecordRefundFailed {
        refund_id: own_refund(0),
        code: "lost_or_stolen_card".into(),
    };
    let failed = PaymentEvent::RefundFailed {
        refund_id: own_refund(0),
        code: "lost_or_stolen_card".into(),
        retry_at: Some(at(60)),
        at: at(0),
    };
    assert_eq!(
        Payment::timers(&failed),
        [TimerChange::Set {
            name: "retry_cancel".into(),
            due_at: at(60)
        }]
    );
    let waiting = a_captured_payment()
        .when(cancel().at(at(0)))
        .then([
            PaymentEvent::CancelRequested { at: at(0) },
            refund_requested(own_refund(0), 1_000),
        ])
        .when(told.at(at(0)))
        .then([failed])
        .when(Action::RetryCancel.at(at(59)))
        .then_nothing();
    let again = PaymentEvent::RefundRequested {
        refund_id: own_refund(1),
        intent: INTENT.into(),
        amount: euros(1_000),
        at: at(60),
    };
    waiting.when(Action::RetryCancel.at(at(60))).then([again]);
}

#[test]
fn a_refund_without_an_amount_is_all_that_is_left() {
    let after = a_captured_payment()
        .when(ask(refund(9), None))
        .then([refund_requested(refund(9), 1_000)])
        .when(
            Action::RecordRefunded {
                refund_id: refund(9),
            }
            .at(at(0)),
        )
        .then([refunded(refund(9), 1_000)]);
    assert_eq!(after.state().status(), Status::Refunded);
}

#[test]
fn refunds_are_refused_when_there_is_nothing_to_give_back() {
    given::<Payment>([requested(), authorized()])
        .when(ask(refund(9), 1))
        .then_refused(PaymentRefusal::NotCaptured);
    given::<Payment>([])
        .when(ask(refund(9), 1))
        .then_refused(PaymentRefusal::Unknown);
    let events = [
        refund_requested(refund(8), 1_000),
        refunded(refund(8), 1_000),
    ];
    let past = [requested(), authorized(), capture_requested(), captured()];
    given::<Payment>(past.into_iter().chain(events))
        .when(ask(refund(9), None))
        .then_refused(PaymentRefusal::AlreadyRefunded);
}

#[test]
fn refunds_never_exceed_what_was_captured() {
    let left = euros(1_000);
    a_captured_payment()
        .when(ask(refund(9), 1_001))
        .then_refused(PaymentRefusal::MoreThanLeft { left });
    a_captured_payment()
        .when(ask(refund(9), 600))
        .then([refund_requested(refund(9), 600)])
        .when(ask(refund(10), 600))
        .then_refused(PaymentRefusal::RefundInProgress);
    a_captured_payment()
        .when(ask(refund(9), 0))
        .then_refused(PaymentRefusal::NotPositive);
}

#[test]
fn a_refund_is_in_the_payments_currency() {
    let amount = Some(Money::new(1, "USD".parse().unwrap()));
    let refund_id = refund(9);
    a_captured_payment()
        .when(Action::RequestRefund { refund_id, amount }.at(at(0)))
        .then_refused(PaymentRefusal::OtherCurrency);
}

#[test]
fn a_failed_refund_leaves_its_amount_for_another() {
    let told = Action::RecordRefundFailed {
        refund_id: refund(9),
        code: "expired_or_canceled_card".into(),
    };
    a_captured_payment()
        .when(ask(refund(9), None))
        .then([refund_requested(refund(9), 1_000)])
        .when(told.at(at(0)))
        .then([PaymentEvent::RefundFailed {
            refund_id: refund(9),
            code: "expired_or_canceled_card".into(),
            retry_at: None,
            at: at(0),
        }])
        .when(ask(refund(10), None))
        .then([refund_requested(refund(10), 1_000)]);
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
