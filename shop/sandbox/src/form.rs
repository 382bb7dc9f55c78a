//! Form bodies: flat names, and `metadata[name]`.

use std::collections::BTreeMap;

use crate::error::GatewayError;

/// The most fields in one form.
const FIELDS_MAX: usize = 100;

/// The most metadata names of an object, as Stripe has it.
const METADATA_MAX: usize = 50;

pub(crate) type Metadata = BTreeMap<String, String>;

/// The fields of a form that nobody took yet.
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, GatewayError> {
        let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|_| GatewayError::invalid("The body is no form."))?;
        if fields.len() > FIELDS_MAX {
            return Err(GatewayError::invalid("Too many parameters."));
        }
        Ok(Self(fields.into_iter().collect()))
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<String, GatewayError> {
        self.optional(name)
            .ok_or_else(|| GatewayError::missing(name))
    }

    pub(crate) fn amount(&mut self, name: &str) -> Result<Option<i64>, GatewayError> {
        let Some(text) = self.optional(name) else {
            return Ok(None);
        };
        let amount = text.parse::<i64>().map_err(|_| {
            GatewayError::invalid(format!("Invalid integer: {text}"))
                .code("parameter_invalid_integer")
                .param(name)
        })?;
        Ok(Some(amount))
    }

    pub(crate) fn metadata(&mut self) -> Result<Metadata, GatewayError> {
        let is_metadata = |name: &String| name.starts_with("metadata[") && name.ends_with(']');
        let names: Vec<String> = self
            .0
            .keys()
            .filter(|name| is_metadata(name))
            .cloned()
            .collect();
        if names.len() > METADATA_MAX {
            return Err(GatewayError::invalid("Too many metadata keys.").param("metadata"));
        }
        let taken = names.into_iter().filter_map(|name| {
            let value = self.0.remove(&name)?;
            Some((name["metadata[".len()..name.len() - 1].to_owned(), value))
        });
        Ok(taken.collect())
    }

    /// What is left is nobody's.
    pub(crate) fn nothing_else(self) -> Result<(), GatewayError> {
        match self.0.into_keys().next() {
            Some(name) => Err(GatewayError::unknown(&name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_taken_apart() {
        let mut form = Form::parse(b"metadata[a]=1&metadata%5Bb%5D=2&amount=7").unwrap();
        let metadata = form.metadata().unwrap();
        assert_eq!(metadata.get("a").map(String::as_str), Some("1"));
        assert_eq!(metadata.get("b").map(String::as_str), Some("2"));
        assert_eq!(form.amount("amount"), Ok(Some(7)));
        assert!(form.nothing_else().is_ok());
    }

    #[test]
    fn what_nobody_takes_is_unknown() {
        let form = Form::parse(b"amuont=7").unwrap();
        assert_eq!(form.nothing_else(), Err(GatewayError::unknown("amuont")));
    }

    #[test]
    fn an_amount_is_a_whole_number() {
        let mut form = Form::parse(b"amount=1.5").unwrap();
        assert_eq!(
            form.amount("amount").map_err(|error| error.status),
            Err(400)
        );
    }
}
