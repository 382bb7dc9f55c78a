//! Tokens, keys, passwords, the principal and permissions; no transport, no SQL.
//!
//! | module | is |
//! |---|---|
//! | [`password`] | Argon2id on a bounded pool that sheds instead of queueing without end |
//! | [`key`] | Ed25519 signing keys, JWKs, the ring of keys and its rotation, keys encrypted at rest |
//! | [`token`] | access tokens: strict JWTs, issued and verified against a pinned ring |
//! | [`oauth`] | the pure parts of an OAuth 2.1 and OpenID Connect provider |
//! | [`service`] | tokens by which the processes of one platform know each other |
//! | [`refresh`] | the decisions of refresh-token families; the store belongs to the caller |
//! | [`principal`] | who calls |
//! | [`permission`] | what they may: markers, wildcards, roles |
//! | [`secret`] | constant-time comparison, purpose-separated MACs for cursors and the like |
//!
//! Nothing here reads a clock on its own: every decision takes `now`. Secrets never appear in `Debug`,
//! `Display` or an error.
//!
//! ```
//! use std::sync::Arc;
//! use stanchion_auth::{
//!     key::{KeyRing, SigningKey},
//!     permission::Permissions,
//!     principal::Subject,
//!     token::{AccessTokens, Grant},
//! };
//! use secrecy::ExposeSecret;
//!
//! let now = stanchion_runtime::clock::now();
//! let ring = KeyRing::of(SigningKey::generate(), now);
//! let tokens = AccessTokens::new("https://shop.example", "shop", Arc::new(ring));
//!
//! let user = stanchion_runtime::id::new_v7();
//! let session = stanchion_runtime::id::new_v7();
//! let grant = Grant::to_user(user, session, ["staff"], Permissions::parse("order:read")?);
//! let token = tokens.issue(&grant, now)?;
//!
//! let claims = tokens.verify(token.expose_secret(), now)?;
//! assert_eq!(claims.subject, Subject::User(user));
//! assert!(claims.into_principal().allows("order:read"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encoding;
pub mod key;
pub mod oauth;
pub mod password;
pub mod permission;
pub mod principal;
pub mod refresh;
pub mod secret;
pub mod service;
pub mod token;

pub use password::{PasswordError, Passwords};
pub use permission::{Permission, Permissions, Roles};
pub use principal::{Principal, Subject};
pub use service::ServiceTokens;
pub use token::{AccessTokens, TokenError};
