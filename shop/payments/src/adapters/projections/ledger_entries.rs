//! The ledger as rows: every entry of every event that moved money.

use async_trait::async_trait;
use stanchion::eventsourcing::{Aggregate, Filter, Projection, ProjectionError, Recorded};
use stanchion::sql::{Tx, params};

use crate::adapters::announce::payment_id;
use crate::domain::payment::{Payment, PaymentEvent};

/// Keeps the rows.
pub(crate) struct LedgerEntries;

#[async_trait]
impl Projection<Tx> for LedgerEntries {
    fn name(&self) -> &'static str {
        "ledger_entries"
    }

    fn filter(&self) -> Filter {
        Filter::category(Payment::CATEGORY)
    }

    fn tables(&self) -> &'static [&'static str] {
        &["ledger_entries"]
    }

    async fn apply(&self, tx: &mut Tx, recorded: &Recorded) -> Result<(), ProjectionError> {
        let event = recorded.decode::<PaymentEvent>()?;
        let payment_id = payment_id(recorded)?;
        let entries = event
            .entries()
            .into_iter()
            .flat_map(|entries| entries.iter());
        for (line, entry) in (0i64..).zip(entries) {
            tx.queue(
                "insert into ledger_entries (position, line, event_id, payment_id, account, \
                 amount, currency, at) values ($1, $2, $3, $4, $5, $6, $7, $8)",
                params![
                    recorded.position,
                    line,
                    recorded.id,
                    payment_id.0,
                    entry.account.as_str(),
                    entry.amount.amount,
                    entry.amount.currency.as_str(),
                    event.at(),
                ],
            );
        }
        Ok(())
    }

    async fn reset(&self, tx: &mut Tx) -> Result<(), ProjectionError> {
        tx.queue("delete from ledger_entries", params![]);
        Ok(())
    }
}
