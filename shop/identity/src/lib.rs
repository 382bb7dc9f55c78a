//! Users, sessions, tokens and roles; state-stored.
//!
//! Users are rows behind a repository, changed in a unit of work that also records, in identity's log,
//! what happened without personal data. [`Identity`] is made once by the app, which calls
//! [`Identity::bootstrap`] before it serves, mounts [`module()`] and lets the server authenticate
//! with [`Identity::authenticator`].

mod adapters;
mod application;
mod domain;
mod migrations;
mod module;
#[cfg(test)]
mod testing;
mod who_is;

pub use adapters::elsewhere::{Elsewhere, IdentityElsewhere};
pub use application::{
    AttemptSettings, Attempts, Bootstrapped, Counting, Identity, MailPages, Shared, StartError,
};
pub use migrations::migrations;
pub use module::{Dependencies, MailDependencies, for_services, module, relay};
pub use who_is::{roles, who_is, who_is_client};
