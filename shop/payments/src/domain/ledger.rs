use serde::{Deserialize, Serialize};
use shop_kernel::Money;

/// Where money is, seen from the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Account {
    /// What the gateway holds for us.
    Gateway,
    /// What customers paid us, less what went back; it grows downwards, as income does.
    Sales,
}

/// One side of a movement: positive comes in, negative goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) account: Account,
    #[serde(flatten)]
    pub(crate) amount: Money,
}

/// Entries that sum to zero. There is no other way to have some: not even from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub(crate) struct Entries(Vec<Entry>);

/// Money would appear or vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ledger entries do not sum to zero")]
pub(crate) struct Unbalanced;

impl Account {
    /// As stored.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Sales => "sales",
        }
    }
}

impl Entries {
    /// A customer's money arrives at the gateway.
    pub(crate) fn sale(amount: Money) -> Result<Self, Unbalanced> {
        Self::movement(Account::Sales, Account::Gateway, amount)
    }

    /// A customer's money goes back.
    pub(crate) fn refund(amount: Money) -> Result<Self, Unbalanced> {
        Self::movement(Account::Gateway, Account::Sales, amount)
    }

    /// Entries, if they sum to zero.
    pub(crate) fn balanced(entries: Vec<Entry>) -> Result<Self, Unbalanced> {
        let sum = Money::sum(entries.iter().map(|entry| entry.amount));
        match sum {
            Ok(None) => Ok(Self(entries)),
            Ok(Some(sum)) if sum.amount == 0 => Ok(Self(entries)),
            _ => Err(Unbalanced),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    fn movement(from: Account, to: Account, amount: Money) -> Result<Self, Unbalanced> {
        let out = Money::zero(amount.currency).minus(amount);
        let entry = |account, amount| Entry { account, amount };
        Self::balanced(vec![
            entry(to, amount),
            entry(from, out.map_err(|_| Unbalanced)?),
        ])
    }
}

impl TryFrom<Vec<Entry>> for Entries {
    type Error = Unbalanced;

    fn try_from(entries: Vec<Entry>) -> Result<Self, Unbalanced> {
        Self::balanced(entries)
    }
}

impl From<Entries> for Vec<Entry> {
    fn from(entries: Entries) -> Self {
        entries.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shop_kernel::Currency;

    use super::*;

    fn euros(amount: i64) -> Money {
        Money::new(amount, Currency::EUR)
    }

    #[test]
    fn a_sale_and_its_refund_leave_nothing_anywhere() {
        let both = [Entries::sale(euros(7)), Entries::refund(euros(7))].map(Result::unwrap);
        for account in [Account::Gateway, Account::Sales] {
            let own = both.iter().flat_map(Entries::iter);
            let own = own.filter(|entry| entry.account == account);
            assert_eq!(own.map(|entry| entry.amount.amount).sum::<i64>(), 0);
        }
    }

    #[test]
    fn entries_that_do_not_sum_to_zero_cannot_be_made_or_read() {
        let entry = Entry {
            account: Account::Sales,
            amount: euros(1),
        };
        assert_eq!(Entries::balanced(vec![entry]), Err(Unbalanced));
        let stored = json!([{"account": "sales", "amount": 1, "currency": "EUR"}]);
        assert!(serde_json::from_value::<Entries>(stored).is_err());
    }

    #[test]
    fn an_amount_that_has_no_negative_is_no_movement() {
        assert_eq!(Entries::sale(euros(i64::MIN)), Err(Unbalanced));
    }

    #[test]
    fn entries_are_stored_flat() {
        let stored = serde_json::to_value(Entries::sale(euros(5)).unwrap()).unwrap();
        let expected = json!([
            {"account": "gateway", "amount": 5, "currency": "EUR"},
            {"account": "sales", "amount": -5, "currency": "EUR"},
        ]);
        assert_eq!(stored, expected);
    }
}
