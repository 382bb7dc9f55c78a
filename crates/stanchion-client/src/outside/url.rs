use std::net::{IpAddr, SocketAddr};

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use super::OutsideError;

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A URL taken apart: where to connect, and what to ask for there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// What `Host` says.
    pub(super) authority: String,
    pub(super) path: PathAndQuery,
}

impl Place {
    pub(super) fn parse(url: &str, plain: bool) -> Result<Self, OutsideError> {
        let refused = |why| OutsideError::Url {
            url: url.chars().take(URL_BYTES_MAX).collect(),
            why,
        };
        if url.len() > URL_BYTES_MAX {
            return Err(refused("it is too long"));
        }
        let uri: Uri = url.parse().map_err(|_| refused("it is no URL"))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP && plain => false,
            _ => return Err(refused("it is not https")),
        };
        let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("it has a user in it"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() || host.contains('%') {
            return Err(refused("it has no host"));
        }
        let usual = if tls { 443 } else { 80 };
        // An empty one is the usual one (RFC 3986, 3.2.3), 99999 is none.
        let behind = authority.as_str().len() - authority.host().len();
        if authority.port_u16().is_none() && behind > 1 {
            return Err(refused("its port is none"));
        }
        Ok(Self {
            tls,
            host,
            port: authority.port_u16().unwrap_or(usual),
            authority: authority.as_str().to_owned(),
            path: uri
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }

    /// The address, if the host is one in its usual spelling. Others go the way of names, and so do their addresses.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let ip: IpAddr = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }

    /// Where a redirect leads: another URL, or a path of the same host.
    pub(super) fn redirected(&self, location: &str, plain: bool) -> Result<Self, OutsideError> {
        let place = if location.starts_with('/') && !location.starts_with("//") {
            let scheme = self.scheme();
            Self::parse(&format!("{scheme}://{}{location}", self.authority), plain)?
        } else {
            Self::parse(location, plain)?
        };
        if self.tls && !place.tls {
            let (url, why) = (location.to_owned(), "it leads away from https");
            return Err(OutsideError::Url { url, why });
        }
        Ok(place)
    }

    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", self.scheme(), self.authority, self.path)
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_and_names_nobody() {
        let place = Place::parse("https://keys.example/a/b?c=d", false).unwrap();
        assert!(place.tls && place.port == 443 && place.host == "keys.example");
        assert_eq!(place.path, "/a/b?c=d");
        let place = Place::parse("https://[2606:4700::1]:8443", false).unwrap();
        assert_eq!(place.address().unwrap().to_string(), "[2606:4700::1]:8443");
        for url in [
            "",
            "keys.example",
            "http://keys.example",
            "ftp://keys.example",
            "file:///etc/passwd",
            "gopher://keys.example",
            "https://",
            "https://user:secret@keys.example",
            "https://[fe80::1%25eth0]/",
            "https://keys.example:99999/",
            &format!("https://keys.example/{}", "x".repeat(URL_BYTES_MAX)),
        ] {
            assert!(Place::parse(url, false).is_err(), "{url}");
        }
        assert!(Place::parse("http://127.0.0.1:9/", true).is_ok());
    }

    #[test]
    fn a_redirect_starts_over_and_never_leaves_https() {
        let place = Place::parse("https://keys.example:8443/a", true).unwrap();
        let led = |location: &str| place.redirected(location, true).map(|place| place.url());
        assert_eq!(led("/b?c").unwrap(), "https://keys.example:8443/b?c");
        assert_eq!(
            led("https://other.example/").unwrap(),
            "https://other.example/"
        );
        for location in ["http://keys.example:8443/a", "//other.example/", "b", ""] {
            assert!(led(location).is_err(), "{location}");
        }
    }
}
