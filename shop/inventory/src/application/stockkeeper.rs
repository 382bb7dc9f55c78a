//! Does on the products what a reservation decided: the same step twice has one effect.

use std::sync::Arc;

use shop_contracts::{RefusalReason, StockItem};
use shop_kernel::OrderId;
use stanchion::eventsourcing::{ExecuteError, Repository};
use stanchion::messaging::{HandlerError, InboxEntry, InboxKey, Received};

use crate::domain::product::{Product, ProductCommand, ProductRefusal};
use crate::domain::reservation::{Reservation, ReservationCommand, Step};

pub(crate) struct Stockkeeper {
    pub(crate) products: Arc<Repository<Product>>,
    pub(crate) reservations: Arc<Repository<Reservation>>,
}

impl Stockkeeper {
    /// Works on the step a reservation is at now; one that is past it has nothing to do.
    pub(crate) async fn work(
        &self,
        order_id: OrderId,
        received: &Received,
    ) -> Result<(), HandlerError> {
        let loaded = self.reservations.load(&order_id.to_string()).await;
        let Reservation { mut items, step } = loaded.map_err(later)?.state;
        // Everybody takes products in the same order.
        items.sort_by(|a, b| a.sku.cmp(&b.sku));
        let report = match step {
            Step::Holding => self.hold(order_id, &items, received).await?,
            Step::Committing => self.commit(order_id, &items, received).await?,
            Step::Releasing { committed } => {
                self.release(order_id, &items, committed, received).await?
            }
            _ => return Ok(()),
        };
        let id = order_id.to_string();
        let reported = self
            .reservations
            .execute(&id, &report, &received.metadata)
            .await;
        reported.map(drop).map_err(later)
    }

    /// All or nothing: what was held before the refusal is given back.
    async fn hold(
        &self,
        order_id: OrderId,
        items: &[StockItem],
        received: &Received,
    ) -> Result<ReservationCommand, HandlerError> {
        for (index, item) in items.iter().enumerate() {
            let quantity = item.quantity;
            let command = ProductCommand::Hold { order_id, quantity };
            if let Some(refusal) = self.ask(item, &command, None, received).await? {
                for held in &items[..index] {
                    let command = ProductCommand::Release {
                        order_id,
                        restock: 0,
                    };
                    self.ask(held, &command, None, received).await?;
                }
                return Ok(ReservationCommand::ReportRefused {
                    reason: reason(refusal),
                });
            }
        }
        Ok(ReservationCommand::ReportHeld)
    }

    async fn commit(
        &self,
        order_id: OrderId,
        items: &[StockItem],
        received: &Received,
    ) -> Result<ReservationCommand, HandlerError> {
        for item in items {
            self.ask(item, &ProductCommand::Commit { order_id }, None, received)
                .await?;
        }
        Ok(ReservationCommand::ReportCommitted)
    }

    /// What is held is let go; what was committed returns, once per order and product.
    async fn release(
        &self,
        order_id: OrderId,
        items: &[StockItem],
        committed: bool,
        received: &Received,
    ) -> Result<ReservationCommand, HandlerError> {
        for item in items {
            let restock = if committed { item.quantity } else { 0 };
            let command = ProductCommand::Release { order_id, restock };
            // By order and product, not by message: whoever comes late finds it returned.
            let once = committed.then(|| {
                let sku = Some(item.sku.as_str());
                InboxEntry::new(InboxKey::message("stock-return", order_id.0, sku))
            });
            self.ask(item, &command, once, received).await?;
        }
        Ok(ReservationCommand::ReportReleased)
    }

    /// Asks a product; its refusal is an answer, anything else is tried again later.
    async fn ask(
        &self,
        item: &StockItem,
        command: &ProductCommand,
        once: Option<InboxEntry>,
        received: &Received,
    ) -> Result<Option<ProductRefusal>, HandlerError> {
        let asked = self
            .products
            .on(item.sku.as_str(), &received.metadata)
            .inbox(once);
        match asked.execute(command).await {
            Ok(_) | Err(ExecuteError::AlreadyHandled { .. }) => Ok(None),
            Err(ExecuteError::Refused(refusal)) => Ok(Some(refusal)),
            Err(error) => Err(later(error)),
        }
    }
}

fn reason(refusal: ProductRefusal) -> RefusalReason {
    match refusal {
        ProductRefusal::Unknown => RefusalReason::UnknownProduct,
        _ => RefusalReason::OutOfStock,
    }
}

fn later(error: impl std::error::Error) -> HandlerError {
    HandlerError::Later(error.to_string())
}
