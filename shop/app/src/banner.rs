//! What a newcomer sees: where it is, what it is made of, and a first call that works.

use std::fmt::Write;

use stanchion::config::{ExposeSecret, SecretString, without_password};
use stanchion::server::Addresses;

/// What there is to say.
pub(crate) struct Banner {
    /// `http` or `https`: what the public port speaks.
    pub(crate) scheme: &'static str,
    /// Likewise the operator's.
    pub(crate) admin_scheme: &'static str,
    pub(crate) modules: Vec<&'static str>,
    pub(crate) storage: String,
    /// How many connections there can be, a line a database; none for embedded stores.
    pub(crate) connections: Vec<String>,
    pub(crate) environment: String,
    /// The administrator's password, when it was made at this start.
    pub(crate) made_password: Option<SecretString>,
    pub(crate) gateway: String,
    pub(crate) demo: bool,
}

impl Banner {
    pub(crate) fn text(&self, addresses: &Addresses) -> String {
        let public = addresses
            .public
            .map_or_else(|| "-".into(), |public| public.to_string());
        let url = format!("{}://{public}", self.scheme);
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {name:<10}{value}");
        };
        line(
            "api",
            &format!("{url}/api/v1    docs {url}/docs    ready {url}/ready"),
        );
        if let Some(admin) = addresses.admin {
            let scheme = self.admin_scheme;
            line(
                "admin",
                &format!("{scheme}://{admin}    metrics {scheme}://{admin}/metrics"),
            );
        }
        line("modules", &self.modules.join(", "));
        line(
            "storage",
            &format!(
                "{}    gateway {}    environment {}",
                without_password(&self.storage),
                without_password(&self.gateway),
                self.environment
            ),
        );
        for connections in &self.connections {
            line("database", connections);
        }
        if let Some(password) = &self.made_password {
            let shown = password.expose_secret();
            line(
                "user",
                &format!("admin    password {shown}    (shown once: keep it)"),
            );
        }
        format!("\nshop is ready\n\n{text}\n{}", self.first_call(&url))
    }

    fn first_call(&self, url: &str) -> String {
        let call = if self.demo {
            format!("curl -s '{url}/api/v1/products?sort=name&limit=3'")
        } else {
            format!("curl -s {url}/ready")
        };
        format!("  try it:   {call}\n  stop it:  Ctrl-C\n")
    }
}
