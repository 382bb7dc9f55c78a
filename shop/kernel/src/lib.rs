//! Money and typed ids: what every context of the shop shares. No input or output.

mod id;
mod money;
mod sku;

pub use id::{BadId, OrderId, PaymentId, UserId};
pub use money::{Currency, Money, MoneyError};
pub use sku::{BadSku, Sku};
