//! Secrets of HashiCorp Vault, or OpenBao: one field of a secret of a KV engine, version 2.
//!
//! ```no_run
//! use stanchion::auth::key::KeyEncryptionKey;
//! use stanchion::auth::secret_source::SecretSource;
//! use stanchion::client::{ClientSettings, Metrics, SecretString};
//! use stanchion::vault::{VaultPlace, VaultSecret};
//!
//! # async fn example(token: SecretString) -> Result<(), Box<dyn std::error::Error>> {
//! let place: VaultPlace = "https://vault.internal:8200/secret/shop#kek".parse()?;
//! let vault = VaultSecret::at(&place, token, &ClientSettings::default(), &Metrics::default())?;
//! let sealing = KeyEncryptionKey::from_text(&vault.secret().await?)?;
//! # Ok(()) }
//! ```

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use stanchion_auth::secret_source::{self, SecretError, SecretSource};
use stanchion_client::{
    ClientError, ClientSettings, ExposeSecret, HttpClient, Metrics, Reason, SecretString,
    SetupError, is_private,
};

/// Where a secret is: `https://HOST[:PORT]/MOUNT/PATH#FIELD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPlace {
    url: String,
    mount: String,
    path: String,
    field: String,
}

/// A text that is no place in a vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "write https://HOST[:PORT]/MOUNT/PATH#FIELD, for example https://vault:8200/secret/shop#kek"
)]
pub struct NotAPlace;

/// One field of a secret, read with a token each time it is asked for: `GET /v1/MOUNT/data/PATH` with `X-Vault-Token`.
///
/// The newest version counts; one that is deleted or destroyed is [missing](SecretError::Missing). The token is not
/// renewed: the secret is read at start, so a short one will do.
pub struct VaultSecret {
    client: HttpClient,
    token: SecretString,
    namespace: Option<String>,
    place: VaultPlace,
}

impl FromStr for VaultPlace {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (place, field) = text.split_once('#').ok_or(NotAPlace)?;
        let (scheme, rest) = place.split_once("://").ok_or(NotAPlace)?;
        let (host, below) = rest.split_once('/').ok_or(NotAPlace)?;
        let (mount, path) = below.split_once('/').ok_or(NotAPlace)?;
        let plain = |text: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
            !text.is_empty() && text.bytes().all(is_plain) && !text.contains("..")
        };
        let fits = ["http", "https"].contains(&scheme) && !host.is_empty();
        if !fits || !plain(mount) || !plain(path) || field.is_empty() {
            return Err(NotAPlace);
        }
        Ok(Self {
            url: format!("{scheme}://{host}"),
            mount: mount.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
            field: field.to_owned(),
        })
    }
}

impl VaultSecret {
    /// The secret at that place, read with that token.
    ///
    /// # Errors
    /// [`SetupError`]: the client cannot be made, or everybody on the way could read the token: it is https, or http to a
    /// loopback address.
    pub fn at(
        place: &VaultPlace,
        token: SecretString,
        settings: &ClientSettings,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        if !is_private(&place.url)? {
            let why = "a vault's token goes over https, or over http to a loopback address";
            return Err(SetupError::Url(why.into()));
        }
        Ok(Self {
            client: HttpClient::new("vault", &place.url, settings, metrics)?,
            token,
            namespace: None,
            place: place.clone(),
        })
    }

    /// The same in a namespace (`X-Vault-Namespace`).
    #[must_use]
    pub fn in_namespace(self, namespace: impl Into<String>) -> Self {
        Self {
            namespace: Some(namespace.into()),
            ..self
        }
    }

    fn failed(&self, error: &ClientError) -> SecretError {
        let place = self.place.to_string();
        match error.reason() {
            Reason::Status(answer) if answer.status().as_u16() == 404 => {
                SecretError::Missing(place)
            }
            // Its body says no more than that, and may quote the request.
            Reason::Status(answer) => {
                SecretError::Unavailable(place, format!("the vault said {}", answer.status()))
            }
            _ => SecretError::Unavailable(place, error.to_string()),
        }
    }
}

#[async_trait]
impl SecretSource for VaultSecret {
    async fn secret(&self) -> Result<SecretString, SecretError> {
        let VaultPlace {
            mount, path, field, ..
        } = &self.place;
        let token = self.token.expose_secret();
        let mut call = self
            .client
            .get(&format!("/v1/{mount}/data/{path}"))
            .header("x-vault-token", token);
        if let Some(namespace) = &self.namespace {
            call = call.header("x-vault-namespace", namespace.as_str());
        }
        let answer = call.send().await.map_err(|error| self.failed(&error))?;
        let place = self.place.to_string();
        let Ok(mut answer) = answer.json::<serde_json::Value>() else {
            return Err(SecretError::Malformed(place, "the vault answered no JSON"));
        };
        match answer["data"]["data"][field.as_str()].take() {
            serde_json::Value::String(secret) => secret_source::read(place, secret.into_bytes()),
            serde_json::Value::Null => Err(SecretError::Missing(place)),
            _ => Err(SecretError::Malformed(place, "the field is no text")),
        }
    }
}

impl fmt::Display for VaultPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            url,
            mount,
            path,
            field,
        } = self;
        write!(f, "{url}/{mount}/{path}#{field}")
    }
}

impl fmt::Debug for VaultSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultSecret({}, ***)", self.place)
    }
}
