use proptest::prelude::*;
use shop_kernel::Currency;
use stanchion::eventsourcing::testing::given;
use uuid::Uuid;

use super::*;

const AT: Timestamp = Timestamp::UNIX_EPOCH;
const ORDER: OrderId = OrderId(Uuid::from_u128(1));

fn about(name: &str) -> Description {
    Description {
        name: name.into(),
        description: String::new(),
        price: Money::new(1250, Currency::EUR),
    }
}

fn created(available: i64) -> ProductEvent {
    ProductEvent::ProductCreated {
        about: about("Beans"),
        available,
        at: AT,
    }
}

fn held(quantity: i64) -> ProductEvent {
    ProductEvent::StockHeld {
        order_id: ORDER,
        quantity,
    }
}

#[test]
fn stock_is_held_once_for_an_order() {
    given::<Product>([created(5)])
        .when(ProductCommand::Hold {
            order_id: ORDER,
            quantity: 2,
        })
        .then([held(2)])
        .when(ProductCommand::Hold {
            order_id: ORDER,
            quantity: 2,
        })
        .then_nothing();
}

#[test]
fn more_than_there_is_cannot_be_held() {
    given::<Product>([created(1)])
        .when(ProductCommand::Hold {
            order_id: ORDER,
            quantity: 2,
        })
        .then_refused(ProductRefusal::OutOfStock);
}

#[test]
fn a_product_that_does_not_exist_cannot_be_held() {
    given::<Product>([])
        .when(ProductCommand::Hold {
            order_id: ORDER,
            quantity: 1,
        })
        .then_refused(ProductRefusal::Unknown);
}

#[test]
fn what_is_released_is_free_again() {
    let given = given::<Product>([created(5), held(2)])
        .when(ProductCommand::Release {
            order_id: ORDER,
            restock: 0,
        })
        .then([ProductEvent::HeldStockReleased {
            order_id: ORDER,
            quantity: 2,
        }]);
    assert_eq!(given.state().available, 5);
    given
        .when(ProductCommand::Release {
            order_id: ORDER,
            restock: 0,
        })
        .then_nothing();
}

#[test]
fn what_is_committed_is_gone() {
    let given = given::<Product>([created(5), held(2)])
        .when(ProductCommand::Commit { order_id: ORDER })
        .then([ProductEvent::HeldStockCommitted {
            order_id: ORDER,
            quantity: 2,
        }]);
    assert_eq!(given.state().available, 3);
    given
        .when(ProductCommand::Release {
            order_id: ORDER,
            restock: 0,
        })
        .then_nothing();
}

#[test]
fn what_was_committed_returns_to_the_stock() {
    let committed = ProductEvent::HeldStockCommitted {
        order_id: ORDER,
        quantity: 2,
    };
    let given = given::<Product>([created(5), held(2), committed])
        .when(ProductCommand::Release {
            order_id: ORDER,
            restock: 2,
        })
        .then([ProductEvent::StockReturned {
            order_id: ORDER,
            quantity: 2,
        }]);
    assert_eq!(given.state().available, 5);
}

#[test]
fn stock_cannot_be_taken_below_zero() {
    given::<Product>([created(5)])
        .when(ProductCommand::Adjust {
            delta: -6,
            reason: "broken".into(),
            at: AT,
        })
        .then_refused(ProductRefusal::OutOfStock);
}

#[test]
fn stock_has_a_limit() {
    given::<Product>([created(5)])
        .when(ProductCommand::Adjust {
            delta: i64::MAX,
            reason: "typo".into(),
            at: AT,
        })
        .then_refused(ProductRefusal::TooMuch);
}

#[test]
fn a_count_moves_the_stock_to_what_was_counted_and_once_is_enough() {
    let count = |available| ProductCommand::Count {
        available,
        reason: "sync".into(),
        at: AT,
    };
    let moved = |delta| ProductEvent::StockAdjusted {
        delta,
        reason: "sync".into(),
        at: AT,
    };
    let counted = given::<Product>([created(10), held(3)])
        .when(count(4))
        .then([moved(-3)]);
    assert_eq!(counted.state().available, 4);
    let counted = counted.when(count(9)).then([moved(5)]);
    counted.when(count(9)).then_nothing();
    given::<Product>([created(10)])
        .when(count(-1))
        .then_refused(ProductRefusal::OutOfStock);
    given::<Product>([created(10)])
        .when(count(AVAILABLE_MAX + 1))
        .then_refused(ProductRefusal::TooMuch);
    given::<Product>([])
        .when(count(1))
        .then_refused(ProductRefusal::Unknown);
}

#[test]
fn a_sku_is_taken_until_its_product_is_withdrawn() {
    let create = ProductCommand::Create {
        about: about("Beans"),
        available: 0,
        at: AT,
    };
    given::<Product>([created(0)])
        .when(create.clone())
        .then_refused(ProductRefusal::AlreadyExists);
    given::<Product>([created(0), ProductEvent::ProductWithdrawn { at: AT }])
        .when(create)
        .then([created(0)]);
}

/// A state that is kept must mean the same to later code: what changes here raises `SCHEMA`.
#[test]
fn a_kept_product_is_read_as_it_was_written() {
    let given = given::<Product>([created(5), held(2)]);
    let kept = serde_json::json!({
        "listed": {
            "about": {
                "name": "Beans", "description": "",
                "price": {"amount": 1250, "currency": "EUR"},
            },
            "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
        },
        "available": 3,
        "held": {"00000000-0000-0000-0000-000000000001": 2},
    });
    assert_eq!(
        (
            serde_json::to_value(given.state()).unwrap(),
            Product::SCHEMA
        ),
        (kept.clone(), 1)
    );
    assert_eq!(
        serde_json::from_value::<Product>(kept).unwrap(),
        *given.state()
    );
}

#[test]
fn describing_it_as_it_is_changes_nothing() {
    given::<Product>([created(0)])
        .when(ProductCommand::Describe {
            about: about("Beans"),
            at: AT,
        })
        .then_nothing();
}

fn command() -> impl Strategy<Value = ProductCommand> {
    let order = (0u128..4).prop_map(|id| OrderId(Uuid::from_u128(id)));
    prop_oneof![
        (order.clone(), 1i64..20)
            .prop_map(|(order_id, quantity)| ProductCommand::Hold { order_id, quantity }),
        order
            .clone()
            .prop_map(|order_id| ProductCommand::Commit { order_id }),
        order.prop_map(|order_id| ProductCommand::Release {
            order_id,
            restock: 0
        }),
        (-20i64..20).prop_map(|delta| ProductCommand::Adjust {
            delta,
            reason: String::new(),
            at: AT
        }),
    ]
}

proptest! {
    #[test]
    fn stock_is_never_negative_and_never_made_of_nothing(commands in prop::collection::vec(command(), 0..60)) {
        let mut product = Product::default();
        product.evolve(&created(10));
        let (mut delivered, mut gone) = (10, 0);
        for command in commands {
            for event in product.decide(&command).unwrap_or_default() {
                match &event {
                    ProductEvent::StockAdjusted { delta, .. } => delivered += delta,
                    ProductEvent::HeldStockCommitted { quantity, .. } => gone += quantity,
                    _ => {}
                }
                product.evolve(&event);
            }
            prop_assert!(product.available >= 0);
            prop_assert_eq!(product.available + product.held.values().sum::<i64>() + gone, delivered);
        }
    }
}
