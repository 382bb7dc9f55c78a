use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use shop_kernel::{Currency, Money};
use utoipa::ToSchema;

use crate::application::request_refund::Amount;

/// Whole floats up to here are integers without loss.
const EXACT_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

/// How much: money, or minor units of the payment's currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RefundAmount {
    Money(RefundMoney),
    Minor(MinorUnits),
}

/// Money to be given back: more than none of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundMoney {
    /// In minor units: 1250 is twelve euros fifty.
    #[schema(minimum = 1, example = 500)]
    amount: i64,
    /// The payment's.
    currency: Currency,
}

/// A whole number of the currency's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(minimum = 1, example = 500)]
pub(super) struct MinorUnits(i64);

impl RefundAmount {
    pub(super) fn is_positive(&self) -> bool {
        match self {
            Self::Money(money) => money.amount > 0,
            Self::Minor(MinorUnits(minor)) => *minor > 0,
        }
    }
}

impl From<RefundAmount> for Amount {
    fn from(amount: RefundAmount) -> Self {
        match amount {
            RefundAmount::Money(RefundMoney { amount, currency }) => {
                Self::Money(Money::new(amount, currency))
            }
            RefundAmount::Minor(MinorUnits(minor)) => Self::Minor(minor),
        }
    }
}

/// By hand, because serde's untagged enums cannot tell which field is wrong.
impl<'de> Deserialize<'de> for RefundAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor)
    }
}

struct AmountVisitor;

impl<'de> Visitor<'de> for AmountVisitor {
    type Value = RefundAmount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("money, or a whole number of minor units")
    }

    fn visit_i64<E: Error>(self, minor: i64) -> Result<RefundAmount, E> {
        Ok(RefundAmount::Minor(MinorUnits(minor)))
    }

    fn visit_u64<E: Error>(self, minor: u64) -> Result<RefundAmount, E> {
        let minor = i64::try_from(minor).map_err(|_| E::custom("is too large"))?;
        self.visit_i64(minor)
    }

    /// JSON Schema counts 500.0 among the integers.
    fn visit_f64<E: Error>(self, minor: f64) -> Result<RefundAmount, E> {
        if minor.fract() != 0.0 || minor.abs() > EXACT_FLOAT_MAX {
            return Err(E::invalid_type(Unexpected::Float(minor), &self));
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and exact"
        )]
        self.visit_i64(minor as i64)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RefundAmount, A::Error> {
        RefundMoney::deserialize(MapAccessDeserializer::new(map)).map(RefundAmount::Money)
    }
}
