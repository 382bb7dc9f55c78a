//! Where load goes, and where it must not go.

use std::net::{SocketAddr, ToSocketAddrs};

use http::HeaderValue;
use http::uri::{Scheme, Uri};

/// A service on plain HTTP/1.1, resolved once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    address: SocketAddr,
    host: HeaderValue,
}

/// Why a URL is no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not of the form `http://HOST[:PORT]`.
    #[error("`{0}` is not of the form http://HOST[:PORT]; TLS is not spoken here")]
    Form(String),
    /// The host's name leads nowhere.
    #[error("`{url}` cannot be resolved: {error}")]
    Unresolved {
        /// What was given.
        url: String,
        /// What the resolver said.
        error: std::io::Error,
    },
    /// Another machine, which has to be allowed explicitly.
    #[error("`{url}` is {address}, not this machine: Target::anywhere allows it")]
    NotLoopback {
        /// What was given.
        url: String,
        /// Where that is.
        address: SocketAddr,
    },
}

impl Target {
    /// A service on this machine.
    ///
    /// # Errors
    /// When `url` has another form, cannot be resolved, or is not a loopback address.
    pub fn parse(url: &str) -> Result<Self, TargetError> {
        let target = Self::anywhere(url)?;
        if target.address.ip().is_loopback() {
            return Ok(target);
        }
        Err(TargetError::NotLoopback {
            url: url.to_owned(),
            address: target.address,
        })
    }

    /// A service wherever it is. To load a machine that is not yours is an attack.
    ///
    /// # Errors
    /// When `url` has another form or cannot be resolved.
    pub fn anywhere(url: &str) -> Result<Self, TargetError> {
        let form = || TargetError::Form(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| form())?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && matches!(uri.path(), "" | "/");
        let authority = uri.authority().filter(|_| plain).ok_or_else(form)?;
        let host = authority.host().trim_matches(['[', ']']);
        let port = authority.port_u16().unwrap_or(80);
        let unresolved = |error| TargetError::Unresolved {
            url: url.to_owned(),
            error,
        };
        let mut found = (host, port).to_socket_addrs().map_err(unresolved)?;
        let nothing = || unresolved(std::io::ErrorKind::NotFound.into());
        Ok(Self {
            address: found.next().ok_or_else(nothing)?,
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| form())?,
        })
    }

    /// Where connections go.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_target_unless_more_is_allowed() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(target.address().to_string(), "127.0.0.1:8080");
        assert_eq!(target.host(), "127.0.0.1:8080");
        assert!(Target::parse("http://[::1]:8080/").is_ok());
        let refused = Target::parse("http://192.0.2.1:8080").unwrap_err();
        assert!(matches!(refused, TargetError::NotLoopback { .. }));
        assert!(Target::anywhere("http://192.0.2.1:8080").is_ok());
    }

    #[test]
    fn what_is_not_plain_http_on_a_host_is_refused() {
        for url in [
            "https://127.0.0.1",
            "127.0.0.1:80",
            "http://127.0.0.1/path",
            "",
        ] {
            let refused = Target::parse(url).unwrap_err();
            assert!(matches!(refused, TargetError::Form(_)), "{url}");
        }
    }
}
