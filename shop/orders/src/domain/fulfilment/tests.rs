use shop_kernel::{Currency, OrderId, Sku};
use stanchion::eventsourcing::testing::{Given, given};
use stanchion::eventsourcing::{Process, Standing};
use uuid::Uuid;

use super::FulfilmentCommand as C;
use super::FulfilmentEvent as E;
use super::*;

const AT: Timestamp = Timestamp::UNIX_EPOCH;
const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(3));
const OUT_OF_STOCK: RefusalReason = RefusalReason::OutOfStock;

pub(super) fn start() -> C {
    C::Start {
        order: Box::new(OrderPlaced {
            order_id: OrderId(Uuid::from_u128(1)),
            customer_id: UserId(Uuid::from_u128(2)),
            payment_id: PAYMENT,
            items: vec![beans()],
            total: Money::new(2500, Currency::EUR),
            payment_method: payment_method(),
            placed_at: AT,
        }),
        step_timeout: STEP_TIMEOUT,
        at: AT,
    }
}

fn payment_method() -> Personal<String> {
    Personal::Sealed {
        subject: Uuid::from_u128(2).to_string(),
        cipher: "AQ".into(),
    }
}

fn beans() -> StockItem {
    StockItem {
        sku: "BEANS".parse::<Sku>().unwrap(),
        quantity: 2,
    }
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn started() -> E {
    E::FulfilmentStarted {
        about: About {
            payment_id: PAYMENT,
            customer_id: UserId(Uuid::from_u128(2)),
            amount: Money::new(2500, Currency::EUR),
            payment_method: payment_method(),
            step_timeout: STEP_TIMEOUT,
        },
        items: vec![beans()],
        until: second(300),
        due_at: second(60),
    }
}

fn stock_held() -> E {
    E::StockHeld {
        payment_id: PAYMENT,
        customer_id: UserId(Uuid::from_u128(2)),
        amount: Money::new(2500, Currency::EUR),
        payment_method: payment_method(),
        due_at: second(61),
    }
}

fn authorized() -> E {
    E::PaymentAuthorized { due_at: second(62) }
}

fn committed() -> E {
    E::StockCommitted {
        payment_id: PAYMENT,
        due_at: second(63),
    }
}

fn compensation(stock: bool, payment: bool, outcome: Outcome) -> E {
    let payment = payment.then_some(PAYMENT);
    E::CompensationStarted {
        stock,
        payment,
        outcome,
    }
}

fn failed(reason: FailureReason) -> E {
    E::FulfilmentFailed { reason }
}

/// The way forward, cut after so many steps.
fn after(steps: usize) -> Given<Fulfilment> {
    let way = [
        started(),
        stock_held(),
        authorized(),
        committed(),
        E::PaymentCaptured,
    ];
    given(way.into_iter().take(steps))
}

const RESERVING: usize = 1;
const AUTHORIZING: usize = 2;
const COMMITTING: usize = 3;
const CAPTURING: usize = 4;
const FULFILLED: usize = 5;

const TIMED_OUT: Outcome = Outcome::Failed(FailureReason::TimedOut);
const DECLINED: Outcome = Outcome::Failed(FailureReason::PaymentDeclined);

#[test]
fn an_order_goes_through_stock_and_payment_step_by_step() {
    let given = given::<Fulfilment>([])
        .when(start())
        .then([started()])
        .when(C::StockReserved { at: second(1) })
        .then([stock_held()])
        .when(C::PaymentAuthorized { at: second(2) })
        .then([authorized()])
        .when(C::StockCommitted { at: second(3) })
        .then([committed()])
        .when(C::PaymentCaptured)
        .then([E::PaymentCaptured]);
    assert_eq!(given.state().step, Step::Fulfilled);
}

#[test]
fn refused_stock_ends_it_at_once() {
    after(RESERVING)
        .when(C::StockRefused {
            reason: OUT_OF_STOCK,
        })
        .then([failed(FailureReason::OutOfStock)]);
    let reason = RefusalReason::UnknownProduct;
    after(RESERVING)
        .when(C::StockRefused { reason })
        .then([failed(FailureReason::UnknownProduct)]);
}

#[test]
fn a_declined_payment_gives_the_stock_back_before_it_fails() {
    for step in [AUTHORIZING, COMMITTING, CAPTURING] {
        after(step)
            .when(C::PaymentDeclined)
            .then([compensation(true, false, DECLINED)])
            .when(C::PaymentDeclined)
            .then_nothing()
            .when(C::StockReleased)
            .then([E::StockUndone, failed(FailureReason::PaymentDeclined)]);
    }
}

#[test]
fn stock_that_expired_gives_the_payment_back() {
    for step in [AUTHORIZING, COMMITTING] {
        after(step)
            .when(C::StockReleased)
            .then([compensation(false, true, TIMED_OUT)])
            .when(C::PaymentAuthorized { at: AT })
            .then_nothing()
            .when(C::PaymentCancelled)
            .then([E::PaymentUndone, failed(FailureReason::TimedOut)]);
    }
}

#[test]
fn a_reservation_that_expired_before_it_was_held_ends_it() {
    after(RESERVING)
        .when(C::StockReleased)
        .then([failed(FailureReason::TimedOut)]);
}

#[test]
fn a_step_that_takes_too_long_undoes_what_was_asked_for_answered_or_not() {
    for (step, payment) in [
        (RESERVING, false),
        (AUTHORIZING, true),
        (COMMITTING, true),
        (CAPTURING, true),
    ] {
        after(step)
            .when(C::TimeOut { at: second(100) })
            .then([compensation(true, payment, TIMED_OUT)]);
    }
}

#[test]
fn the_timer_of_an_earlier_step_means_nothing() {
    after(AUTHORIZING)
        .when(C::TimeOut { at: second(60) })
        .then_nothing();
    after(FULFILLED)
        .when(C::TimeOut { at: second(1000) })
        .then_nothing();
}

#[test]
fn a_cancellation_undoes_what_was_asked_for_even_after_the_end() {
    for step in [AUTHORIZING, COMMITTING, CAPTURING, FULFILLED] {
        after(step)
            .when(C::Cancel)
            .then([compensation(true, true, Outcome::Cancelled)])
            .when(C::PaymentCancelled)
            .then([E::PaymentUndone])
            .when(C::StockReleased)
            .then([E::StockUndone, E::FulfilmentCancelled])
            .when(C::Cancel)
            .then_nothing();
    }
}

#[test]
fn a_cancellation_that_overtakes_its_order_keeps_it_from_starting() {
    given::<Fulfilment>([])
        .when(C::Cancel)
        .then([E::FulfilmentCancelled])
        .when(start())
        .then_nothing();
}

#[test]
fn a_late_answer_finds_its_undoing_on_the_way() {
    after(RESERVING)
        .when(C::TimeOut { at: second(60) })
        .then([compensation(true, false, TIMED_OUT)])
        .when(C::StockReserved { at: second(61) })
        .then_nothing();
}

#[test]
fn what_is_said_to_be_held_after_a_refusal_is_undone_once() {
    after(RESERVING)
        .when(C::StockRefused {
            reason: OUT_OF_STOCK,
        })
        .then([failed(FailureReason::OutOfStock)])
        .when(C::StockReserved { at: AT })
        .then([compensation(
            true,
            false,
            Outcome::Failed(FailureReason::OutOfStock),
        )])
        .when(C::StockReserved { at: AT })
        .then_nothing()
        .when(C::StockReleased)
        .then([E::StockUndone, failed(FailureReason::OutOfStock)]);
}

#[test]
fn the_end_waits_for_both_sides() {
    let either = [C::StockReleased, C::PaymentCancelled];
    for (first, last) in [(0, 1), (1, 0)] {
        let given = after(CAPTURING)
            .when(C::TimeOut { at: second(100) })
            .then([compensation(true, true, TIMED_OUT)]);
        let undone = |n: usize| {
            if n == 0 {
                E::StockUndone
            } else {
                E::PaymentUndone
            }
        };
        given
            .when(either[first].clone())
            .then([undone(first)])
            .when(either[first].clone())
            .then_nothing()
            .when(either[last].clone())
            .then([undone(last), failed(FailureReason::TimedOut)]);
    }
}

#[test]
fn each_step_sets_the_timer_anew_and_the_turn_clears_it() {
    let set = |event: E| match Fulfilment::timers(&event).as_slice() {
        [TimerChange::Set { name, due_at }] if name == "step" => *due_at,
        other => panic!("{event:?}: {other:?}"),
    };
    assert_eq!(
        [
            set(started()),
            set(stock_held()),
            set(authorized()),
            set(committed())
        ],
        [second(60), second(61), second(62), second(63)]
    );
    let endings = [
        E::PaymentCaptured,
        compensation(true, true, TIMED_OUT),
        failed(FailureReason::TimedOut),
        E::FulfilmentCancelled,
    ];
    for event in endings {
        let cleared = vec![TimerChange::Clear {
            name: "step".into(),
        }];
        assert_eq!(Fulfilment::timers(&event), cleared, "{event:?}");
    }
}

#[test]
fn the_step_that_it_waits_at_is_asked_for_again_and_no_other_one() {
    let steps = [
        "reserve_stock",
        "authorize_payment",
        "commit_stock",
        "capture_payment",
    ];
    for (done, here) in steps.into_iter().enumerate() {
        let waits = after(done + 1);
        let again = waits.state().restart(here, second(100)).unwrap();
        let entered = again.iter().map(Fulfilment::enters);
        assert_eq!(entered.collect::<Vec<_>>(), [Some(Standing::AtStep(here))]);
        let set = TimerChange::Set {
            name: "step".into(),
            due_at: second(160),
        };
        assert_eq!(Fulfilment::timers(&again[0]), [set], "{here}");
        for other in steps.into_iter().filter(|other| *other != here) {
            assert!(
                waits.state().restart(other, second(100)).is_err(),
                "{other}"
            );
        }
    }
    assert!(after(5).state().restart("capture_payment", AT).is_err());
}

#[test]
fn what_is_not_undone_yet_is_asked_for_again() {
    let turned = compensation(true, true, TIMED_OUT);
    let past = [started(), stock_held(), turned, E::StockUndone];
    let waits = given::<Fulfilment>(past);
    assert_eq!(waits.state().compensations(), ["cancel_payment"]);
    let again = waits.state().restart("compensate", AT);
    assert_eq!(again, Ok(vec![compensation(false, true, TIMED_OUT)]));
}
