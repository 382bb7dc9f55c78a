//! A small payment gateway that speaks the Stripe PaymentIntents wire format.
//!
//! It keeps its state in SQLite, knows test payment methods, honours `Idempotency-Key`, signs and
//! delivers webhooks, and can be told to be slow, to fail, or to lose answers ([`Knobs`]). It runs
//! in the process of whoever starts it, on a loopback port:
//!
//! ```no_run
//! # async fn example() -> Result<(), shop_sandbox::StartError> {
//! use shop_sandbox::{Sandbox, Settings};
//!
//! let sandbox = Sandbox::start(Settings::default()).await?;
//! println!("a gateway at {}", sandbox.url);
//! sandbox.stop().await;
//! # Ok(()) }
//! ```
//!
//! | call | does |
//! |---|---|
//! | `POST /v1/payment_intents` | makes and confirms an intent; form fields `amount`, `currency`, `payment_method`, `confirm=true`, `capture_method`, `metadata[…]` |
//! | `GET /v1/payment_intents/{id}` | shows it |
//! | `POST /v1/payment_intents/{id}/capture` | takes what is reserved, or `amount_to_capture` of it |
//! | `POST /v1/payment_intents/{id}/cancel` | frees what is reserved |
//! | `POST /v1/refunds` | gives back `amount` of `payment_intent`, or the rest |
//! | `GET /v1/refunds/{id}` | shows it |
//! | `GET`, `POST /knobs` | shows, sets what goes wrong on purpose |
//!
//! | payment method | does |
//! |---|---|
//! | `pm_card_visa`, `pm_card_mastercard`, … | succeeds |
//! | `pm_card_chargeDeclined`, `…InsufficientFunds`, `…ExpiredCard`, `…ProcessingError` | is declined at once |
//! | `pm_card_captureDeclined` | is authorised and declined when captured |
//! | `pm_card_pendingRefund` | succeeds; a refund is pending for two seconds |
//! | `pm_card_refundFail` | succeeds; refunds fail |

mod cut;
mod error;
mod form;
mod gateway;
mod http;
mod intent;
mod knobs;
mod method;
mod refund;
mod server;
mod settings;
mod signature;
mod store;
mod webhook;

pub use knobs::Knobs;
pub use server::{Running, Sandbox, StartError};
pub use settings::Settings;
pub use signature::signature;
