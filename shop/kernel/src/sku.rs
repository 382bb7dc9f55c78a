use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stock keeping unit: 1 to 64 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "COFFEE-BEANS-1KG", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
pub struct Sku(String);

/// Text that is not a SKU.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 of letters, digits, '.', '_' and '-', starting with a letter or digit")]
pub struct BadSku;

impl Sku {
    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sku {
    type Err = BadSku;

    fn from_str(text: &str) -> Result<Self, BadSku> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let first = text
            .chars()
            .next()
            .is_some_and(|c| c.is_ascii_alphanumeric());
        if first && text.len() <= 64 && text.chars().all(inner) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadSku)
        }
    }
}

impl TryFrom<String> for Sku {
    type Error = BadSku;

    fn try_from(text: String) -> Result<Self, BadSku> {
        text.parse()
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}
