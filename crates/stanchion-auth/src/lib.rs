//! Tokens, keys, passwords, the principal and permissions; no transport, no SQL.
//!
//! | module | is |
//! |---|---|
//! | [`password`] | Argon2id on a bounded pool that sheds instead of queueing without end, with an optional pepper |
//! | [`one_time`] | tokens that are good for one use and a short time, such as in a mail's link |
//! | [`api_key`] | long-lived keys of users and services, stored by their hash |
//! | [`key`] | signing keys (EdDSA, ES256, RS256), JWKs, the ring of keys and its rotation, keys encrypted at rest |
//! | [`secret_source`] | where a key-encryption key comes from: a file, the environment, a vault |
//! | [`token`] | access tokens: strict JWTs, issued and verified against a pinned ring |
//! | [`oauth`] | the pure parts of an OAuth 2.1 and OpenID Connect provider |
//! | [`issuer`] | other people's issuers, pinned, with their keys fetched and cached |
//! | [`service`] | tokens by which the processes of one platform know each other |
//! | [`refresh`] | the decisions of refresh-token families; the store belongs to the caller |
//! | [`principal`] | who calls |
//! | [`permission`] | what they may: markers, wildcards, roles |
//! | [`policy`] | what they may do with which object: policies in files, checked at start |
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

pub mod api_key;
mod encoding;
pub mod issuer;
pub mod key;
pub mod oauth;
pub mod one_time;
pub mod password;
pub mod permission;
pub mod policy;
pub mod principal;
pub mod refresh;
pub mod secret;
pub mod secret_source;
pub mod service;
pub mod token;

pub use issuer::{Issuer, Issuers};
pub use password::{PasswordError, Passwords};
pub use permission::{Permission, Permissions, Roles};
pub use policy::Policies;
pub use principal::{Principal, Subject};
pub use service::ServiceTokens;
pub use token::{AccessTokens, TokenError};
