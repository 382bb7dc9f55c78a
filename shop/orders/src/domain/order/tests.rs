use shop_kernel::{Currency, Sku};
use stanchion::eventsourcing::testing::given;
use uuid::Uuid;

use super::*;

const AT: Timestamp = Timestamp::UNIX_EPOCH;

fn later() -> Timestamp {
    Timestamp::from_second(60).unwrap()
}

fn line(sku: &str, quantity: i64, amount: i64) -> Line {
    Line {
        sku: sku.parse::<Sku>().unwrap(),
        name: format!("A {sku}"),
        quantity,
        unit_price: Money::new(amount, Currency::EUR),
    }
}

/// As it comes in: sealed.
fn payment_method() -> Personal<String> {
    Personal::Sealed {
        subject: Uuid::from_u128(2).to_string(),
        cipher: "AQ".into(),
    }
}

fn place(lines: Vec<Line>) -> OrderCommand {
    OrderCommand::Place(Place {
        order_id: OrderId(Uuid::from_u128(1)),
        customer_id: UserId(Uuid::from_u128(2)),
        payment_id: PaymentId(Uuid::from_u128(3)),
        lines,
        payment_method: payment_method(),
        at: AT,
    })
}

fn placed() -> OrderEvent {
    let item = |line: Line, total: i64| Item {
        sku: line.sku,
        name: line.name,
        quantity: line.quantity,
        unit_price: line.unit_price,
        total: Money::new(total, Currency::EUR),
    };
    OrderEvent::OrderPlaced {
        order_id: OrderId(Uuid::from_u128(1)),
        customer_id: UserId(Uuid::from_u128(2)),
        payment_id: PaymentId(Uuid::from_u128(3)),
        items: vec![
            item(line("BEANS", 2, 1250), 2500),
            item(line("CUP", 1, 900), 900),
        ],
        total: Money::new(3400, Currency::EUR),
        payment_method: payment_method(),
        at: AT,
    }
}

fn rejected() -> OrderEvent {
    let reason = FailureReason::OutOfStock;
    OrderEvent::OrderRejected { reason, at: AT }
}

#[test]
fn a_placed_order_costs_the_sum_of_its_items() {
    given::<Order>([])
        .when(place(vec![line("BEANS", 2, 1250), line("CUP", 1, 900)]))
        .then([placed()]);
}

#[test]
fn an_order_is_placed_once() {
    given::<Order>([placed()])
        .when(place(vec![line("BEANS", 1, 1250)]))
        .then_refused(OrderRefusal::AlreadyPlaced);
}

#[test]
fn an_order_has_at_least_one_item_and_at_most_a_hundred() {
    let many = |count: usize| (0..count).map(|n| line(&format!("S{n}"), 1, 1)).collect();
    for wrong in [0, ITEMS_MAX + 1] {
        given::<Order>([])
            .when(place(many(wrong)))
            .then_refused(OrderRefusal::ItemCount);
    }
    let order = Order::default();
    assert!(order.decide(&place(many(ITEMS_MAX))).is_ok());
}

#[test]
fn a_wrong_item_is_named_with_its_fault() {
    let other = Line {
        unit_price: Money::new(1, "USD".parse().unwrap()),
        ..line("TEA", 1, 1)
    };
    let rows = [
        (line("TEA", 0, 1), ItemFault::Quantity),
        (line("TEA", -1, 1), ItemFault::Quantity),
        (line("TEA", QUANTITY_MAX + 1, 1), ItemFault::Quantity),
        (line("BEANS", 1, 1250), ItemFault::Duplicate),
        (other, ItemFault::Currency),
        (line("TEA", 2, i64::MAX), ItemFault::TooExpensive),
        (line("TEA", 1, i64::MAX), ItemFault::TooExpensive),
    ];
    for (wrong, fault) in rows {
        given::<Order>([])
            .when(place(vec![line("BEANS", 1, 1250), wrong]))
            .then_refused(OrderRefusal::Item { index: 1, fault });
    }
}

#[test]
fn a_fulfilled_order_is_confirmed_once() {
    given::<Order>([placed()])
        .when(OrderCommand::Confirm { at: AT })
        .then([OrderEvent::OrderConfirmed { at: AT }])
        .when(OrderCommand::Confirm { at: AT })
        .then_nothing();
}

#[test]
fn a_rejected_order_says_why_and_cannot_be_cancelled() {
    let reason = FailureReason::OutOfStock;
    let given = given::<Order>([placed()])
        .when(OrderCommand::Reject { reason, at: AT })
        .then([rejected()]);
    assert_eq!(given.state().reason, Some(reason));
    given
        .when(OrderCommand::Cancel { at: AT })
        .then_refused(OrderRefusal::NotCancellable);
}

#[test]
fn pending_and_confirmed_orders_can_be_cancelled_and_once_is_enough() {
    let pasts = [
        vec![placed()],
        vec![placed(), OrderEvent::OrderConfirmed { at: AT }],
    ];
    for past in pasts {
        given::<Order>(past)
            .when(OrderCommand::Cancel { at: later() })
            .then([OrderEvent::OrderCancelled { at: later() }])
            .when(OrderCommand::Cancel { at: later() })
            .then_nothing();
    }
}

#[test]
fn what_fulfilment_reports_after_a_cancellation_changes_nothing() {
    let cancelled = || given::<Order>([placed(), OrderEvent::OrderCancelled { at: AT }]);
    cancelled()
        .when(OrderCommand::Confirm { at: AT })
        .then_nothing();
    let reason = FailureReason::TimedOut;
    cancelled()
        .when(OrderCommand::Reject { reason, at: AT })
        .then_nothing();
}

#[test]
fn what_was_never_placed_is_not_found() {
    for command in [
        OrderCommand::Confirm { at: AT },
        OrderCommand::Cancel { at: AT },
    ] {
        given::<Order>([])
            .when(command)
            .then_refused(OrderRefusal::NotFound);
    }
}

#[test]
fn an_order_is_settled_when_it_leaves_pending() {
    let past = [placed(), OrderEvent::OrderConfirmed { at: AT }];
    let given = given::<Order>(past)
        .when(OrderCommand::Cancel { at: later() })
        .then([OrderEvent::OrderCancelled { at: later() }]);
    assert_eq!(given.state().settled_at, Some(AT));
}
