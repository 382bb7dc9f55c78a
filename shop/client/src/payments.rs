use http::Method;
use serde::{Deserialize, Serialize};

use crate::api::{asking, data, page, part};
use crate::{Money, Page, Session, ShopError};

/// The payment of an order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Payment {
    /// Its id.
    pub id: String,
    /// The order it pays.
    pub order_id: String,
    /// How far it is.
    pub status: PaymentStatus,
    /// What is paid.
    pub amount: Money,
    /// What went back.
    pub refunded: Money,
}

/// How far a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PaymentStatus {
    /// The gateway is being asked.
    Pending,
    /// The money is reserved.
    Authorized,
    /// The money is taken.
    Captured,
    /// The bank said no.
    Declined,
    /// The reservation was given up.
    Voided,
    /// Some of it went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// One that this version of the client does not know.
    #[serde(other)]
    Other,
}

#[derive(Serialize)]
struct Asked<'a> {
    order_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Refund<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<&'a Money>,
}

impl Session {
    /// A payment.
    ///
    /// # Errors
    /// `PAYMENT_NOT_FOUND`, for somebody else's as well, and what any call can end with.
    pub async fn payment(&self, id: &str) -> Result<Payment, ShopError> {
        let path = format!("/payments/{}", part(id));
        data(&self.send(|shop| shop.get(&path)).await?)
    }

    /// The own payments, or those of one order.
    ///
    /// # Errors
    /// [`ShopError`]
    pub async fn payments(&self, order_id: Option<&str>) -> Result<Page<Payment>, ShopError> {
        let path = asking("/payments", &Asked { order_id })?;
        page(&self.send(|shop| shop.get(&path)).await?)
    }

    /// Gives money back, all that is left for none; needs `payment:refund`. Under the same key it is given back once.
    ///
    /// # Errors
    /// `FORBIDDEN`, what the shop says to the amount, and what any call can end with.
    pub async fn refund(
        &self,
        payment_id: &str,
        amount: Option<&Money>,
        key: &str,
    ) -> Result<Payment, ShopError> {
        let path = format!("/payments/{}/refunds", part(payment_id));
        let sent = self.send(|shop| {
            let call = shop.call(Method::POST, &path).idempotency_key(key);
            call.json(&Refund { amount })
        });
        data(&sent.await?)
    }
}
