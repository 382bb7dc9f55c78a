use secrecy::SecretString;
use stanchion::client::{ClientSettings, SetupError, is_private};

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
    /// Keys and cards' names would go over the network in clear.
    #[error("the gateway URL must be https; http is for loopback addresses only")]
    NotEncrypted,
    /// It is no URL of a place alone, or its client cannot be made of its settings.
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
        if !is_private(url)? {
            return Err(InvalidGatewayUrl::NotEncrypted);
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
        for url in [
            "https://user:pass@example.com",
            "https://example.com?key=1",
            "https://example.com#part",
            "sandbox:",
            "ftp://example.com",
            "nonsense",
        ] {
            let refused = settings(url).err();
            assert!(
                matches!(refused, Some(InvalidGatewayUrl::Client(SetupError::Url(_)))),
                "{url}: {refused:?}"
            );
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let printed = format!("{:?}", settings("https://example.com").unwrap());
        assert!(!printed.contains("sk_"), "{printed}");
    }
}
