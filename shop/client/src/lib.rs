//! The shop's REST API, typed: for whoever builds on the shop from outside.
//!
//! [`ShopClient`] is anybody: products, registration, log-in. A [`Session`] is somebody: orders, payments, the own
//! profile; it renews its tokens by itself. Reads are sent again when that is safe and paid for, orders and refunds have
//! idempotency keys and so may be too, and everything ends with its deadline: see `stanchion_client`.
//!
//! ```no_run
//! use std::time::Duration;
//! use shop_client::{NewOrder, ShopClient};
//!
//! # async fn example() -> Result<(), shop_client::ShopError> {
//! let shop = ShopClient::new("https://shop.example")?;
//! let ada = shop.log_in("ada", &"a password of some length".into()).await?;
//! let order = NewOrder::of("pm_card_visa").item("TEAPOT", 2);
//! let order = ada.place_order(&order, "basket-7", Duration::from_secs(10)).await?;
//! println!("{}: {}", order.id, order.status);
//! # Ok(()) }
//! ```
//!
//! The examples `buy` and `catalogue` are whole programs; a test runs them against the real binary.

mod api;
mod error;
mod orders;
mod payments;
mod products;
mod session;
mod users;

pub use api::{Page, ShopClient};
pub use error::ShopError;
pub use orders::{Item, NewOrder, Order, OrderStatus};
pub use payments::{Payment, PaymentStatus};
pub use products::{Money, Product};
pub use session::Session;
pub use stanchion_client::{ClientError, ClientSettings, Metrics, SecretString};
pub use users::{NewUser, User};
