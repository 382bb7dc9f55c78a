//! Giving back in parts.

use super::*;

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
