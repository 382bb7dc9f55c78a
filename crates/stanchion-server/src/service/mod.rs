//! One process: a list of modules, run until told to stop.

mod authenticate;
mod module;
mod settings;

pub use authenticate::{Authenticate, AuthenticateError};
pub use module::Module;
pub use settings::{AdminSettings, CorsSettings, ServerSettings};
pub(crate) use authenticate::Authenticator;
