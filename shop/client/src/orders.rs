use std::fmt;
use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::api::{asking, data, page, part};
use crate::{Money, Page, Session, ShopError};

/// How often an order is looked at while somebody waits for its end.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is to be bought, and how it is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewOrder {
    items: Vec<NewItem>,
    payment_method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct NewItem {
    sku: String,
    quantity: i64,
}

/// An order, as it is when it is looked at.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: String,
    /// Who ordered.
    pub customer_id: String,
    /// How far it is.
    pub status: OrderStatus,
    /// Why it was rejected, such as `OUT_OF_STOCK`.
    pub reason: Option<String>,
    /// What was bought, at which price.
    pub items: Vec<Item>,
    /// What it costs.
    pub total: Money,
    /// The payment, once there is one.
    pub payment_id: Option<String>,
    /// Counts what happened to it.
    pub version: i64,
}

/// So many of a product in an order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Item {
    /// Which product.
    pub sku: String,
    /// What it was called.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// What one cost.
    pub unit_price: Money,
    /// What they cost.
    pub total: Money,
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OrderStatus {
    /// Stock and payment are being asked.
    Pending,
    /// Bought.
    Confirmed,
    /// It could not be: see the reason.
    Rejected,
    /// Taken back.
    Cancelled,
    /// One that this version of the client does not know.
    #[serde(other)]
    Other,
}

#[derive(Serialize)]
struct Asked<'a> {
    cursor: Option<&'a str>,
}

impl NewOrder {
    /// An order paid with that payment method, without items yet.
    #[must_use]
    pub fn of(payment_method: &str) -> Self {
        Self {
            items: Vec::new(),
            payment_method: payment_method.to_owned(),
        }
    }

    /// So many more of that product.
    #[must_use]
    pub fn item(mut self, sku: &str, quantity: i64) -> Self {
        let sku = sku.to_owned();
        self.items.push(NewItem { sku, quantity });
        self
    }
}

impl Session {
    /// Places an order under an idempotency key: the same key and order again find the first one, so that a lost answer
    /// costs nothing. Waits up to `wait` (30 s at most) for its end, and gives it as it stands then.
    ///
    /// # Errors
    /// `VALIDATION_FAILED` for what cannot be ordered, `IDEMPOTENCY_KEY_REUSED` for another order under that key, and what
    /// any call can end with.
    pub async fn place_order(
        &self,
        order: &NewOrder,
        key: &str,
        wait: Duration,
    ) -> Result<Order, ShopError> {
        let sent = self.send(|shop| {
            let call = shop.waiting(Method::POST, "/orders", wait);
            call.idempotency_key(key).json(order)
        });
        data(&sent.await?)
    }

    /// An order.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND`, for somebody else's as well, and what any call can end with.
    pub async fn order(&self, id: &str) -> Result<Order, ShopError> {
        let path = format!("/orders/{}", part(id));
        data(&self.send(|shop| shop.get(&path)).await?)
    }

    /// The own orders, newest first; `cursor` goes on from an earlier page.
    ///
    /// # Errors
    /// [`ShopError`]
    pub async fn orders(&self, cursor: Option<&str>) -> Result<Page<Order>, ShopError> {
        let path = asking("/orders", &Asked { cursor })?;
        page(&self.send(|shop| shop.get(&path)).await?)
    }

    /// Looks at an order until it is settled or `within` is over, and gives it as it stands then.
    ///
    /// # Errors
    /// As [`order`](Self::order).
    pub async fn settled(&self, id: &str, within: Duration) -> Result<Order, ShopError> {
        let end = Instant::now() + within;
        loop {
            let order = self.order(id).await?;
            if order.status != OrderStatus::Pending || Instant::now() + LOOK_EVERY >= end {
                return Ok(order);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Takes an order back: what is held is freed, what was paid is given back. Twice is as good as once.
    ///
    /// # Errors
    /// `ORDER_NOT_CANCELLABLE`, `ORDER_NOT_FOUND`, and what any call can end with.
    pub async fn cancel_order(&self, id: &str) -> Result<Order, ShopError> {
        let path = format!("/orders/{}/cancel", part(id));
        let key = format!("cancel-{id}");
        let sent = self.send(|shop| shop.call(Method::POST, &path).idempotency_key(&key));
        data(&sent.await?)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Other => "in a state that this client does not know",
        })
    }
}
