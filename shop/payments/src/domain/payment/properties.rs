//! Any sequence of commands and gateway answers, duplicated, lost and late: money stays whole.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use proptest::prelude::*;
use shop_kernel::{Currency, Money, OrderId, PaymentId, UserId};
use uuid::Uuid;

use super::*;
use crate::domain::ledger::Account;

const AMOUNT: i64 = 1_000;

#[derive(Clone, Debug)]
enum Step {
    Authorize,
    Capture,
    Cancel,
    Refund(i64),
    /// The gateway is called for one of the recorded requests (again, perhaps).
    Call {
        which: usize,
        accept: bool,
        lose_answer: bool,
    },
    /// An answer given before is told (again).
    Tell(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Authorize),
        2 => Just(Step::Capture),
        1 => Just(Step::Cancel),
        2 => (-1i64..AMOUNT + 10).prop_map(Step::Refund),
        8 => (any::<usize>(), prop::bool::weighted(0.7), prop::bool::weighted(0.3))
            .prop_map(|(which, accept, lose_answer)| Step::Call { which, accept, lose_answer }),
        3 => any::<usize>().prop_map(Step::Tell),
        1 => (1i64..10_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// A gateway that never contradicts itself.
#[derive(Default)]
struct Gateway {
    intent: Option<Intent>,
    refunds: HashMap<RefundId, bool>,
    kept: i64,
}

#[derive(Clone, Copy, PartialEq)]
enum Intent {
    Authorized,
    Declined,
    Captured,
    Voided,
}

impl Gateway {
    fn state(&self) -> Option<Action> {
        let intent = "pi".to_owned();
        let code = "card_declined".to_owned();
        Some(match self.intent? {
            Intent::Authorized => Action::RecordAuthorized { intent },
            Intent::Declined => Action::RecordDeclined { code },
            Intent::Captured => Action::RecordCaptured { intent },
            Intent::Voided => Action::RecordVoided,
        })
    }

    fn call(&mut self, request: &PaymentEvent, accept: bool) -> Option<Action> {
        match request {
            PaymentEvent::Requested { .. } => {
                let fresh = if accept {
                    Intent::Authorized
                } else {
                    Intent::Declined
                };
                self.intent.get_or_insert(fresh);
                self.state()
            }
            PaymentEvent::CaptureRequested { amount, .. } => {
                if self.intent == Some(Intent::Authorized) {
                    if !accept {
                        let code = "expired_card".to_owned();
                        return Some(Action::RecordCaptureFailed { code });
                    }
                    self.intent = Some(Intent::Captured);
                    self.kept += amount.amount;
                }
                self.state()
            }
            PaymentEvent::VoidRequested { .. } => {
                if self.intent == Some(Intent::Authorized) {
                    self.intent = Some(Intent::Voided);
                }
                self.state()
            }
            PaymentEvent::RefundRequested {
                refund_id, amount, ..
            } => {
                let kept = &mut self.kept;
                let went = *self.refunds.entry(*refund_id).or_insert_with(|| {
                    *kept -= if accept { amount.amount } else { 0 };
                    accept
                });
                let refund_id = *refund_id;
                let code = "declined".to_owned();
                Some(match went {
                    true => Action::RecordRefunded { refund_id },
                    false => Action::RecordRefundFailed { refund_id, code },
                })
            }
            _ => None,
        }
    }
}

#[derive(Default)]
struct World {
    payment: Payment,
    events: Vec<PaymentEvent>,
    gateway: Gateway,
    answers: Vec<Action>,
    refunds: u128,
    now: i64,
}

impl World {
    fn execute(&mut self, action: Action) {
        let at = Timestamp::from_second(1_800_000_000 + self.now).unwrap();
        let events = match self.payment.decide(&action.clone().at(at)) {
            Ok(events) => events,
            Err(PaymentRefusal::Contradiction(what)) => panic!("{what}: {action:?}"),
            Err(PaymentRefusal::Unbalanced(error)) => panic!("{error}: {action:?}"),
            Err(_) => return,
        };
        for event in events {
            self.payment.evolve(&event);
            self.events.push(event);
        }
        self.check();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Authorize => self.execute(authorize()),
            Step::Capture => self.execute(Action::Capture),
            Step::Cancel => self.execute(cancel()),
            Step::Refund(amount) => {
                self.refunds += 1;
                let refund_id = RefundId(Uuid::from_u128(self.refunds));
                let amount = (amount > 0).then(|| Money::new(amount, Currency::EUR));
                self.execute(Action::RequestRefund { refund_id, amount });
            }
            Step::Call {
                which,
                accept,
                lose_answer,
            } => self.call(which, accept, lose_answer),
            Step::Tell(which) => {
                if let Some(answer) = pick(&self.answers, which) {
                    self.execute(answer);
                }
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                self.execute(Action::RetryCancel);
            }
        }
    }

    fn call(&mut self, which: usize, accept: bool, lose_answer: bool) {
        let Some(request) = pick(&self.events, which) else {
            return;
        };
        if let Some(answer) = self.gateway.call(&request, accept) {
            self.answers.push(answer.clone());
            if !lose_answer {
                self.execute(answer);
            }
        }
    }

    /// What holds after every step.
    fn check(&self) {
        let entries = self.events.iter().filter_map(PaymentEvent::entries);
        let entries: Vec<_> = entries.flat_map(|entries| entries.iter()).collect();
        let sum = |account: Option<Account>| -> i64 {
            let own = entries
                .iter()
                .filter(|entry| account.is_none_or(|account| account == entry.account));
            own.map(|entry| entry.amount.amount).sum()
        };
        assert_eq!(sum(None), 0, "the ledger sums to zero");
        let kept = sum(Some(Account::Gateway));
        assert!((0..=AMOUNT).contains(&kept), "{kept} is kept");
        assert_eq!(kept, self.payment.captured() - self.payment.refunded());
        assert!(self.payment.left() >= 0);
        let answers = self
            .events
            .iter()
            .filter(|event| matches!(event, PaymentEvent::Cancelled { .. }));
        assert!(answers.count() <= 1, "a cancellation is answered once");
    }

    /// The gateway accepts from now on, every request is sent and answered, time passes.
    fn settle(&mut self) {
        for _ in 0..8 {
            for which in 0..self.events.len() {
                self.call(which, true, false);
            }
            self.now += 4_000;
            self.execute(Action::RetryCancel);
        }
    }
}

fn pick<T: Clone>(all: &[T], which: usize) -> Option<T> {
    (!all.is_empty()).then(|| all[which % all.len()].clone())
}

fn authorize() -> Action {
    Action::Authorize {
        payment_id: PaymentId(Uuid::from_u128(1)),
        order_id: OrderId(Uuid::from_u128(2)),
        customer_id: UserId(Uuid::from_u128(3)),
        amount: Money::new(AMOUNT, Currency::EUR),
        payment_method: super::tests::payment_method(),
    }
}

fn cancel() -> Action {
    let order_id = OrderId(Uuid::from_u128(2));
    Action::Cancel { order_id }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_ledger_agrees_with_the_gateway_once_all_is_answered(steps in steps()) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
        }
        world.settle();
        prop_assert_eq!(world.gateway.kept, world.payment.captured() - world.payment.refunded());
        prop_assert_eq!(world.payment.refunding(), 0);
    }

    #[test]
    fn a_cancellation_always_ends_with_nothing_kept_or_reserved(before in steps(), after in steps()) {
        let mut world = World::default();
        for step in before {
            world.step(step);
        }
        world.execute(cancel());
        for step in after {
            world.step(step);
        }
        world.settle();
        prop_assert_eq!(world.gateway.kept, 0);
        prop_assert!(world.gateway.intent != Some(Intent::Authorized));
        let cancelled = world.events.iter().any(|event| matches!(event, PaymentEvent::Cancelled { .. }));
        prop_assert!(cancelled);
    }
}
