use std::net::IpAddr;

use http::Uri;
use secrecy::SecretString;
use stanchion::client::{ClientSettings, SetupError};

/// How to reach the gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewaySettings {
    pub(super) base: String,
    pub(super) key: SecretString,
    pub(super) client: ClientSettings,
}

/// A gateway that must not, or cannot, be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGatewayUrl {
    /// It is no URL with scheme and host.
    #[error("the gateway URL is not one; write https://HOST, or http://127.0.0.1:PORT")]
    Malformed,
    /// Keys and cards' names would go over the network in clear.
    #[error("the gateway URL must be https; http is for loopback addresses only")]
    NotEncrypted,
    /// It carries a user, a query or a fragment.
    #[error(
        "the gateway URL is scheme, host, port and path alone; the key is a setting of its own"
    )]
    NotPlain,
    /// Its client cannot be made of its settings.
    #[error(transparent)]
    Client(#[from] SetupError),
}

impl GatewaySettings {
    /// The gateway at `url`, the key it wants, and how it is called.
    pub(crate) fn new(
        url: &str,
        key: &SecretString,
        client: &ClientSettings,
    ) -> Result<Self, InvalidGatewayUrl> {
        let parsed: Uri = url.parse().map_err(|_| InvalidGatewayUrl::Malformed)?;
        let host = parsed.host().ok_or(InvalidGatewayUrl::Malformed)?;
        let is_loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        match parsed.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback => {}
            Some("http") => return Err(InvalidGatewayUrl::NotEncrypted),
            _ => return Err(InvalidGatewayUrl::Malformed),
        }
        let has_user = parsed
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        if has_user || parsed.query().is_some() || url.contains('#') {
            return Err(InvalidGatewayUrl::NotPlain);
        }
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            key: key.clone(),
            client: client.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<GatewaySettings, InvalidGatewayUrl> {
        GatewaySettings::new(url, &"sk_secret".into(), &ClientSettings::default())
    }

    #[test]
    fn http_is_for_loopback_only() {
        for url in [
            "https://api.example.com",
            "http://127.0.0.1:9",
            "http://[::1]:9",
            "http://localhost",
        ] {
            assert!(settings(url).is_ok(), "{url}");
        }
        for url in [
            "http://api.example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
        ] {
            assert_eq!(
                settings(url).err(),
                Some(InvalidGatewayUrl::NotEncrypted),
                "{url}"
            );
        }
    }

    #[test]
    fn a_url_is_only_a_place() {
        for url in ["https://user:pass@example.com", "https://example.com?key=1"] {
            assert_eq!(
                settings(url).err(),
                Some(InvalidGatewayUrl::NotPlain),
                "{url}"
            );
        }
        for url in ["sandbox:", "ftp://example.com", "nonsense"] {
            assert_eq!(
                settings(url).err(),
                Some(InvalidGatewayUrl::Malformed),
                "{url}"
            );
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let printed = format!("{:?}", settings("https://example.com").unwrap());
        assert!(!printed.contains("sk_"), "{printed}");
    }
}
