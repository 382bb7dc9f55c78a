use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use shop_kernel::Money;
use utoipa::ToSchema;

use crate::application::request_refund::Amount;

/// How much: money, or minor units of the payment's currency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum RefundAmount {
    Money(Money),
    Minor(MinorUnits),
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
            RefundAmount::Money(money) => Self::Money(money),
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

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RefundAmount, A::Error> {
        Money::deserialize(MapAccessDeserializer::new(map)).map(RefundAmount::Money)
    }
}
