//! The pure parts of an OAuth 2.1 and OpenID Connect provider: what it reads, compares and says. No transport, no store.
//!
//! | part | is |
//! |---|---|
//! | [`OAuthError`], [`Refused`] | the error codes of RFC 6749, 6750, 7009 and OpenID Connect |
//! | [`Parameters`] | a form or a query in which nothing stands twice |
//! | [`Basic`] | a client's id and secret in `Authorization: Basic` |
//! | [`OpaqueToken`] | client secrets and authorization codes: 256 random bits, stored as SHA-256 |
//! | [`Challenge`] | PKCE, S256 alone (RFC 7636) |
//! | [`Scopes`] | what is asked for and granted |
//! | [`RedirectUri`] | where an answer may go, compared as it is written |
//! | [`IdClaims`] | the ID token |

mod basic;
mod error;
mod form;
mod id_token;
mod opaque;
mod pkce;
mod redirect;
mod scope;

pub use basic::Basic;
pub use error::{OAuthError, Refused};
pub use form::{NotAForm, PARAMETERS_MAX, Parameters, encode};
pub use id_token::IdClaims;
pub use opaque::{OpaqueDigest, OpaqueToken, Prefix};
pub use pkce::{Challenge, PkceError};
pub use redirect::{BadRedirectUri, RedirectUri};
pub use scope::{BadScope, SCOPES_MAX, Scopes};
