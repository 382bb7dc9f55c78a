use secrecy::SecretString;

/// How to reach the gateway.
#[derive(Clone, Debug)]
pub(crate) struct GatewaySettings {
    pub(super) base: String,
    pub(super) key: SecretString,
}

/// A gateway URL that must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
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
}

impl GatewaySettings {
    /// The gateway at `url`, and the key it wants.
    pub(crate) fn new(url: &str, key: &SecretString) -> Result<Self, InvalidGatewayUrl> {
        let parsed = reqwest::Url::parse(url).map_err(|_| InvalidGatewayUrl::Malformed)?;
        let host = parsed.host_str().ok_or(InvalidGatewayUrl::Malformed)?;
        let is_loopback = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        match parsed.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err(InvalidGatewayUrl::NotEncrypted),
            _ => return Err(InvalidGatewayUrl::Malformed),
        }
        let has_user = !parsed.username().is_empty() || parsed.password().is_some();
        if has_user || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(InvalidGatewayUrl::NotPlain);
        }
        Ok(Self {
            base: parsed.as_str().trim_end_matches('/').to_owned(),
            key: key.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<GatewaySettings, InvalidGatewayUrl> {
        GatewaySettings::new(url, &"sk_secret".into())
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
