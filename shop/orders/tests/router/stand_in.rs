//! Inventory and payments as orders sees them: they answer commands by a script.
//!
//! The product `SCARCE` is out of stock, `GONE` unknown, `SLOW` never answered until it is released;
//! the payment method `pm_card_chargeDeclined` is declined. What is held is counted.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use shop_contracts::{
    AuthorizePayment, CancelPayment, CapturePayment, CommitStock, PaymentAuthorized,
    PaymentCancelled, PaymentCaptured, PaymentDeclined, RefusalReason, ReleaseStock, ReserveStock,
    StockCommitted, StockRefused, StockReleased, StockReserved,
};
use stanchion::eventsourcing::{
    Announcement, Append, EventLog, Expected, MemoryLog, NewEvent, Recorded, Relay, StreamId,
    UnknownEvent, Vault,
};
use stanchion::messaging::{
    Consumer, Contract, HandlerError, MemoryConsumerStore, Received, Subscriber,
};
use tokio::sync::Mutex;

/// What one order holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) stock: Side,
    pub(crate) payment: Side,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    #[default]
    Nothing,
    Held,
    Taken,
    Returned,
}

#[derive(Clone)]
pub(crate) struct StandIn {
    log: Arc<MemoryLog>,
    holdings: Arc<Mutex<HashMap<String, Holdings>>>,
    vault: Arc<dyn Vault>,
}

impl StandIn {
    pub(crate) fn new(vault: Arc<dyn Vault>) -> Self {
        Self {
            log: Arc::new(MemoryLog::new()),
            holdings: Arc::default(),
            vault,
        }
    }

    pub(crate) fn relay(&self) -> Relay {
        Relay::new("stand-in", self.log.clone(), announce)
    }

    pub(crate) async fn holdings(&self, order_id: &str) -> Holdings {
        let holdings = self.holdings.lock().await;
        holdings.get(order_id).copied().unwrap_or_default()
    }

    /// The consumer that plays both parts.
    pub(crate) fn consumer(&self, broker: Arc<dyn Subscriber>) -> Consumer {
        let store = Arc::new(MemoryConsumerStore::default());
        let consumer = Consumer::new("stand-in", store, broker);
        self.payments(self.inventory(consumer))
    }

    fn inventory(&self, consumer: Consumer) -> Consumer {
        let (reserve, commit, release) = (self.clone(), self.clone(), self.clone());
        consumer
            .on(move |command: ReserveStock, received| {
                let stand_in = reserve.clone();
                async move { stand_in.reserve(command, &received).await }
            })
            .on(move |CommitStock { order_id }, received| {
                let stand_in = commit.clone();
                async move {
                    stand_in
                        .set(&order_id, |held| held.stock = Side::Taken)
                        .await;
                    stand_in.say(&StockCommitted { order_id }, &received).await
                }
            })
            .on(move |ReleaseStock { order_id }, received| {
                let stand_in = release.clone();
                async move {
                    stand_in
                        .set(&order_id, |held| held.stock = Side::Returned)
                        .await;
                    stand_in.say(&StockReleased { order_id }, &received).await
                }
            })
    }

    async fn reserve(
        &self,
        command: ReserveStock,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let order_id = command.order_id;
        let wants = |sku: &str| command.items.iter().any(|item| item.sku.as_str() == sku);
        if wants("SLOW") {
            return Ok(());
        }
        let refused = [
            ("SCARCE", RefusalReason::OutOfStock),
            ("GONE", RefusalReason::UnknownProduct),
        ];
        if let Some((_, reason)) = refused.into_iter().find(|(sku, _)| wants(sku)) {
            return self.say(&StockRefused { order_id, reason }, received).await;
        }
        self.set(&order_id, |held| held.stock = Side::Held).await;
        self.say(&StockReserved { order_id }, received).await
    }

    fn payments(&self, consumer: Consumer) -> Consumer {
        let (authorize, capture, cancel) = (self.clone(), self.clone(), self.clone());
        consumer
            .on(move |command: AuthorizePayment, received| {
                let stand_in = authorize.clone();
                async move { stand_in.authorize(command, &received).await }
            })
            .on(
                move |CapturePayment {
                          order_id,
                          payment_id,
                      },
                      received| {
                    let stand_in = capture.clone();
                    async move {
                        stand_in
                            .set(&order_id, |held| held.payment = Side::Taken)
                            .await;
                        let answer = PaymentCaptured {
                            order_id,
                            payment_id,
                        };
                        stand_in.say(&answer, &received).await
                    }
                },
            )
            .on(
                move |CancelPayment {
                          order_id,
                          payment_id,
                      },
                      received| {
                    let stand_in = cancel.clone();
                    async move {
                        stand_in
                            .set(&order_id, |held| held.payment = Side::Returned)
                            .await;
                        let answer = PaymentCancelled {
                            order_id,
                            payment_id,
                        };
                        stand_in.say(&answer, &received).await
                    }
                },
            )
    }

    async fn authorize(
        &self,
        command: AuthorizePayment,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let (order_id, payment_id) = (command.order_id, command.payment_id);
        let method = command.payment_method.opened(&*self.vault).await.unwrap();
        if method.value().map(String::as_str) == Some("pm_card_chargeDeclined") {
            let code = "card_declined".to_owned();
            let answer = PaymentDeclined {
                order_id,
                payment_id,
                code,
            };
            return self.say(&answer, received).await;
        }
        self.set(&order_id, |held| held.payment = Side::Held).await;
        self.say(
            &PaymentAuthorized {
                order_id,
                payment_id,
            },
            received,
        )
        .await
    }

    async fn set(&self, order_id: &impl ToString, change: impl FnOnce(&mut Holdings)) {
        let mut holdings = self.holdings.lock().await;
        change(holdings.entry(order_id.to_string()).or_default());
    }

    /// Says it once, however often it is asked.
    async fn say<C: Contract + Serialize>(
        &self,
        answer: &C,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let event = NewEvent {
            id: received.id,
            kind: C::NAME.into(),
            data: serde_json::to_value(answer).unwrap().into(),
        };
        let append = Append {
            stream: StreamId::new("stand_in", answer.key()),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: vec![],
            metadata: received.metadata.clone(),
        };
        let appended = self.log.append(append).await;
        appended
            .map(drop)
            .map_err(|error| HandlerError::Later(error.to_string()))
    }
}

fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    fn of<C: Contract>(recorded: &Recorded) -> Announcement {
        Announcement::of::<C>(&recorded.data.decode().unwrap())
    }
    Ok(vec![match recorded.kind.as_str() {
        StockReserved::NAME => of::<StockReserved>(recorded),
        StockRefused::NAME => of::<StockRefused>(recorded),
        StockCommitted::NAME => of::<StockCommitted>(recorded),
        StockReleased::NAME => of::<StockReleased>(recorded),
        PaymentAuthorized::NAME => of::<PaymentAuthorized>(recorded),
        PaymentDeclined::NAME => of::<PaymentDeclined>(recorded),
        PaymentCaptured::NAME => of::<PaymentCaptured>(recorded),
        PaymentCancelled::NAME => of::<PaymentCancelled>(recorded),
        other => return Err(UnknownEvent(other.into())),
    }])
}
