use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "EUR", pattern = "^[A-Z]{3}$")]
pub struct Currency([u8; 3]);

/// An amount of money in integer minor units; never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In minor units: 1250 is twelve euros fifty.
    #[schema(example = 1250)]
    pub amount: i64,
    /// Of which currency.
    pub currency: Currency,
}

/// Why amounts cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The result has no 64-bit amount.
    #[error("the amount is too large")]
    Overflow,
    /// Two currencies.
    #[error("the currencies differ")]
    CurrencyMismatch,
    /// Not three capital letters.
    #[error("a currency is three capital letters")]
    BadCurrency,
}

impl Money {
    /// An amount of a currency.
    #[must_use]
    pub fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in a currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum.
    ///
    /// # Errors
    /// Another currency, or overflow.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// Another currency, or overflow.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.with(other, i64::checked_sub)
    }

    /// So many times as much.
    ///
    /// # Errors
    /// Overflow.
    pub fn times(self, quantity: i64) -> Result<Self, MoneyError> {
        let amount = self
            .amount
            .checked_mul(quantity)
            .ok_or(MoneyError::Overflow)?;
        Ok(Self::new(amount, self.currency))
    }

    /// The sum of several amounts; `None` for none.
    ///
    /// # Errors
    /// Two currencies, or overflow.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Option<Self>, MoneyError> {
        let mut amounts = amounts.into_iter();
        let Some(first) = amounts.next() else {
            return Ok(None);
        };
        amounts.try_fold(first, Self::plus).map(Some)
    }

    fn with(self, other: Self, operation: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::CurrencyMismatch);
        }
        let amount = operation(self.amount, other.amount).ok_or(MoneyError::Overflow)?;
        Ok(Self::new(amount, self.currency))
    }
}

impl Currency {
    /// The euro.
    pub const EUR: Self = Self(*b"EUR");

    /// Its three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Ok(Self([*a, *b, *c]))
            }
            _ => Err(MoneyError::BadCurrency),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USD: Currency = Currency(*b"USD");

    #[test]
    fn currencies_do_not_mix() {
        let sum = Money::new(1, Currency::EUR).plus(Money::new(1, USD));
        assert_eq!(sum, Err(MoneyError::CurrencyMismatch));
    }

    #[test]
    fn a_quantity_times_a_price_does_not_wrap() {
        assert_eq!(
            Money::new(i64::MAX, USD).times(2),
            Err(MoneyError::Overflow)
        );
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        for text in ["eur", "EU", "EURO", "", "E1R", "ÄÄ"] {
            assert_eq!(
                text.parse::<Currency>(),
                Err(MoneyError::BadCurrency),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_added_can_be_taken_away(a in any::<i64>(), b in any::<i64>()) {
            let (a, b) = (Money::new(a, USD), Money::new(b, USD));
            if let Ok(sum) = a.plus(b) {
                prop_assert_eq!(sum.minus(b), Ok(a));
            }
        }

        #[test]
        fn the_order_of_adding_does_not_matter(amounts in prop::collection::vec(-1_000_000i64..1_000_000, 1..20)) {
            let forward = Money::sum(amounts.iter().map(|a| Money::new(*a, USD)));
            let backward = Money::sum(amounts.iter().rev().map(|a| Money::new(*a, USD)));
            prop_assert_eq!(forward, backward);
        }
    }
}
