//! One process: a list of modules, run until told to stop.

mod authenticate;

pub use authenticate::{Authenticate, AuthenticateError};
pub(crate) use authenticate::Authenticator;
