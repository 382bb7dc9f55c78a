//! Where a dependency is, out of its URL.

use std::net::IpAddr;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use crate::SetupError;

/// A URL without user, query and fragment.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host, and port unless it is the usual one.
    pub(crate) authority: Authority,
    /// What HTTP/1.1 wants beside it.
    pub(crate) host_header: HeaderValue,
    /// Without a slash at its end.
    base: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, SetupError> {
        let malformed = || SetupError::Url("write http://HOST[:PORT][/PATH] or https://…".into());
        let uri: Uri = url.parse().map_err(|_| malformed())?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(malformed()),
        };
        let authority = uri.authority().cloned().ok_or_else(malformed)?;
        if authority.as_str().contains('@') || uri.query().is_some() || url.contains('#') {
            let why = "scheme, host, port and path alone; what a call is signed with is a header";
            return Err(SetupError::Url(why.into()));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16();
        // 99999 is none: it must not become the usual one.
        let says_port = authority.as_str().len() > authority.host().len();
        if host.is_empty() || (port.is_none() && says_port) {
            return Err(malformed());
        }
        Ok(Self {
            tls,
            host,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            host_header: HeaderValue::from_str(authority.as_str()).map_err(|_| malformed())?,
            authority,
            base: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The path and query of a call: `path` below the URL's own.
    pub(crate) fn below(&self, path: &str) -> Result<PathAndQuery, String> {
        if !path.starts_with('/') {
            return Err(format!("the path {path:?} does not begin with a slash"));
        }
        // It would be left out, and something else asked for.
        if path.contains('#') {
            return Err(format!("the path {path:?} has a fragment; write %23"));
        }
        let whole = format!("{}{path}", self.base);
        whole
            .parse()
            .map_err(|error| format!("the path {path:?}: {error}"))
    }

    /// Whether it is TLS, or a loopback address.
    pub(crate) fn is_private(&self) -> bool {
        let is_loopback = |ip: IpAddr| ip.is_loopback();
        self.tls || self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }

    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls {
            Scheme::HTTPS
        } else {
            Scheme::HTTP
        }
    }
}

/// Whether nobody on the way to `url` can read what is sent: TLS, or a loopback address. What is signed with a key or a
/// token goes nowhere else.
///
/// # Errors
/// [`SetupError::Url`]: it is no place of a dependency.
pub fn is_private(url: &str) -> Result<bool, SetupError> {
    Target::parse(url).map(|target| target.is_private())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_private_to_this_machine_alone() {
        for (url, private) in [
            ("https://bank.example", true),
            ("https://10.0.0.1:8443", true),
            ("http://127.0.0.1:9", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:9", true),
            ("http://localhost:9", true),
            ("http://bank.example", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_private(url).unwrap(), private, "{url}");
        }
        assert!(is_private("sandbox:").is_err());
    }

    #[test]
    fn a_url_is_a_place() {
        let target = Target::parse("https://bank.example/v1/").unwrap();
        assert!(target.tls && target.port == 443 && target.host == "bank.example");
        assert_eq!(target.below("/rates?of=EUR").unwrap(), "/v1/rates?of=EUR");
        let target = Target::parse("http://[::1]:8080").unwrap();
        assert_eq!((target.host.as_str(), target.port), ("::1", 8080));
        assert_eq!(target.host_header, "[::1]:8080");
        assert!(target.below("rates").is_err());
        assert!(target.below("/rates/7#8").is_err() && target.below("/rates?of=#").is_err());
    }

    #[test]
    fn a_url_is_only_a_place() {
        for url in [
            "",
            "bank.example",
            "ftp://bank.example",
            "https://user:secret@bank.example",
            "https://bank.example?key=1",
            "https://bank.example#part",
            "https://bank.example:",
            "https://bank.example:99999",
            "http://[::1]:65536",
            "sandbox:",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }
}
