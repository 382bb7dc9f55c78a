//! Giving back as a whole.

use super::*;

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
