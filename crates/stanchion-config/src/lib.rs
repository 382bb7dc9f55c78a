//! Typed configuration from defaults, file, environment and secret files, every value with its source.
//!
//! [`settings!`] declares a section, [`Loader`] fills it. Weakest first: the default in the type, the TOML file,
//! the variable `SHOP__SECTION__KEY`, the file that `SHOP__SECTION__KEY_FILE` names, a command-line argument.
//! A key nobody knows, a wrong type and an impossible value are all reported together, each with its source and
//! how to mend it. Secrets appear in no report, no `Debug` and no [`Loaded::effective`].
//!
//! ```
//! use stanchion_config::{Loader, SecretString};
//! use std::{net::SocketAddr, time::Duration};
//!
//! stanchion_config::settings! {
//!     /// Everything the shop can be told.
//!     pub struct ShopSettings {
//!         /// Where and how the service listens.
//!         pub server: ServerSettings = section,
//!     }
//! }
//! stanchion_config::settings! {
//!     /// Where and how the service listens.
//!     pub struct ServerSettings {
//!         /// Public address.
//!         pub listen: SocketAddr = "127.0.0.1:8080",
//!         /// How long a request may take.
//!         #[range("1ms"..="1h")]
//!         pub timeout: Duration = "30s",
//!         /// Signs cursors and tokens; the same on every replica.
//!         pub secret: Option<SecretString> = unset,
//!     }
//! }
//!
//! let variables = [("SHOP__SERVER__TIMEOUT".to_owned(), "5s".to_owned())];
//! let loaded = Loader::new("SHOP").environment(variables).load::<ShopSettings>()?;
//! assert_eq!(loaded.value.server.timeout, Duration::from_secs(5));
//! assert!(loaded.effective().contains("server.timeout = \"5s\"  # SHOP__SERVER__TIMEOUT"));
//! # Ok::<(), stanchion_config::Problems>(())
//! ```

mod effective;
mod given;
mod loader;
mod macros;
mod outline;
mod pem;
mod problem;
mod reader;
mod rule;
mod setting;
mod source;
mod suggest;
mod text;

pub use effective::Loaded;
pub use loader::Loader;
pub use outline::{Outline, default_file, default_file_over};
pub use pem::{PemError, PemFile};
pub use problem::{Problem, Problems};
pub use reader::{Checks, Reader, Settings};
pub use rule::{IntoDefault, Rule, Unset};
pub use secrecy::{ExposeSecret, SecretString};
pub use setting::{ByteSize, Setting, Value};
pub use source::Source;
pub use text::without_password;
