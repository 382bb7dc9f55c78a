//! Somebody who plays orders: asks for payments, and says what is to become of them.

use serde::Serialize;
use shop_contracts::{AuthorizePayment, CancelPayment, CapturePayment};
use shop_kernel::{Currency, Money, OrderId, PaymentId, UserId};
use stanchion::eventsourcing::{
    Announcement, Append, Content, EventLog, Expected, Metadata, NewEvent, Personal, Recorded,
    StreamId, UnknownEvent,
};
use stanchion::messaging::Contract;
use stanchion::runtime::id;

use super::Shop;

/// A payment that orders asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) order_id: OrderId,
    pub(crate) payment_id: PaymentId,
    pub(crate) customer_id: UserId,
}

impl Shop {
    /// Orders asks for a payment of 12.50 EUR.
    pub(crate) async fn authorize(&self, method: &str) -> Asked {
        let asked = Asked {
            order_id: OrderId(id::new_v7()),
            payment_id: PaymentId(id::new_v7()),
            customer_id: UserId(id::new_v7()),
        };
        let method = Personal::new(asked.customer_id.to_string(), method.to_owned());
        let command = AuthorizePayment {
            order_id: asked.order_id,
            payment_id: asked.payment_id,
            customer_id: asked.customer_id,
            amount: Money::new(1_250, Currency::EUR),
            payment_method: method.sealed(&*self.vault).await.unwrap(),
        };
        self.ask(&command).await;
        asked
    }

    pub(crate) async fn capture(&self, asked: Asked) {
        let Asked {
            order_id,
            payment_id,
            ..
        } = asked;
        self.ask(&CapturePayment {
            order_id,
            payment_id,
        })
        .await;
    }

    pub(crate) async fn cancel(&self, asked: Asked) {
        let Asked {
            order_id,
            payment_id,
            ..
        } = asked;
        self.ask(&CancelPayment {
            order_id,
            payment_id,
        })
        .await;
    }

    /// A payment that is captured.
    pub(crate) async fn captured(&self, method: &str) -> Asked {
        let asked = self.authorize(method).await;
        self.becomes(asked, "authorized").await;
        self.capture(asked).await;
        self.becomes(asked, "captured").await;
        asked
    }

    async fn ask<C: Contract + Serialize>(&self, command: &C) {
        let event = NewEvent {
            id: id::new_v7(),
            kind: C::NAME.into(),
            data: serde_json::to_value(command).unwrap().into(),
        };
        let append = Append {
            stream: StreamId::new("order", command.key()),
            expected: Expected::Any,
            events: vec![event],
            inbox: None,
            timers: vec![],
            metadata: Metadata::new(None),
        };
        self.orders.append(append).await.unwrap();
    }
}

pub(super) fn announce(recorded: &Recorded) -> Result<Vec<Announcement>, UnknownEvent> {
    fn of<C: Contract>(data: &Content) -> Result<Vec<Announcement>, UnknownEvent> {
        let contract = data.decode::<C>();
        let contract = contract.map_err(|error| UnknownEvent(error.to_string()))?;
        Ok(vec![Announcement::of(&contract)])
    }
    match recorded.kind.as_str() {
        AuthorizePayment::NAME => of::<AuthorizePayment>(&recorded.data),
        CapturePayment::NAME => of::<CapturePayment>(&recorded.data),
        _ => of::<CancelPayment>(&recorded.data),
    }
}
