//! Units of work: their rows are their events, no more and no fewer.

use std::collections::{BTreeMap, HashMap};

use crate::books::Books;
use crate::findings::{Findings, Rule};

pub(crate) fn judge(books: &Books, findings: &mut Findings) {
    let mut rows: HashMap<_, _> = books
        .rows
        .iter()
        .map(|row| (row.id, (row.account.as_str(), row.cents)))
        .collect();
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for event in &books.events {
        let Some((account, cents)) = &event.booked else {
            continue;
        };
        let sum = sums.entry(account).or_default();
        *sum = (sum.0 + 1, sum.1 + cents);
        let row = rows.remove(&event.id);
        findings.require(row == Some((account, *cents)), Rule::RowsDiffer, || {
            let at = event.position;
            format!("the event at {at} books {cents} on {account}, its row says {row:?}")
        });
    }
    for (id, row) in rows {
        findings.complain(
            Rule::RowsDiffer,
            format!("the row {id} {row:?} has no event"),
        );
    }
    for account in &books.accounts {
        let sum = sums.remove(account.name.as_str()).unwrap_or_default();
        findings.require(sum == (account.n, account.cents), Rule::RowsDiffer, || {
            format!("{account:?}, its events come to {sum:?}")
        });
    }
    for (name, sum) in sums {
        findings.complain(
            Rule::RowsDiffer,
            format!("{name} has events for {sum:?} and no row"),
        );
    }
}
