//! A product: what it is called, what it costs, how many are free and for whom some are held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::{Money, OrderId};
use stanchion::eventsourcing::{Aggregate, Snapshot};

/// The most of a product that can be in stock; far from where arithmetic would end.
pub(crate) const AVAILABLE_MAX: i64 = 1_000_000_000;

/// What can be said about a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Product {
    pub(crate) listed: Option<Listed>,
    pub(crate) available: i64,
    held: BTreeMap<OrderId, i64>,
}

/// A product that is on offer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) about: Description,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) enum ProductCommand {
    Create {
        about: Description,
        available: i64,
        at: Timestamp,
    },
    Describe {
        about: Description,
        at: Timestamp,
    },
    Withdraw {
        at: Timestamp,
    },
    Adjust {
        delta: i64,
        reason: String,
        at: Timestamp,
    },
    /// So many are free: the stock moves by what lacks or is too much.
    Count {
        available: i64,
        reason: String,
        at: Timestamp,
    },
    Hold {
        order_id: OrderId,
        quantity: i64,
    },
    Commit {
        order_id: OrderId,
    },
    /// Gives back what is held; of what is not held any more, `restock` returns to the stock.
    Release {
        order_id: OrderId,
        restock: i64,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
pub(crate) enum ProductEvent {
    ProductCreated {
        about: Description,
        available: i64,
        at: Timestamp,
    },
    ProductDescribed {
        about: Description,
        at: Timestamp,
    },
    ProductWithdrawn {
        at: Timestamp,
    },
    StockAdjusted {
        delta: i64,
        reason: String,
        at: Timestamp,
    },
    StockHeld {
        order_id: OrderId,
        quantity: i64,
    },
    HeldStockCommitted {
        order_id: OrderId,
        quantity: i64,
    },
    HeldStockReleased {
        order_id: OrderId,
        quantity: i64,
    },
    StockReturned {
        order_id: OrderId,
        quantity: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProductRefusal {
    #[error("the SKU is taken")]
    AlreadyExists,
    #[error("no such product")]
    Unknown,
    #[error("not enough in stock")]
    OutOfStock,
    #[error("more than {AVAILABLE_MAX} in stock")]
    TooMuch,
}

impl Product {
    fn listed(&self) -> Result<&Listed, ProductRefusal> {
        self.listed.as_ref().ok_or(ProductRefusal::Unknown)
    }

    fn adjusted(&self, delta: i64) -> Result<i64, ProductRefusal> {
        match self.available.checked_add(delta) {
            Some(after) if after < 0 => Err(ProductRefusal::OutOfStock),
            Some(after) if after <= AVAILABLE_MAX => Ok(after),
            _ => Err(if delta < 0 {
                ProductRefusal::OutOfStock
            } else {
                ProductRefusal::TooMuch
            }),
        }
    }

    fn hold(&self, order_id: OrderId, quantity: i64) -> Result<Vec<ProductEvent>, ProductRefusal> {
        if self.held.contains_key(&order_id) {
            return Ok(vec![]);
        }
        self.listed()?;
        if quantity > self.available {
            return Err(ProductRefusal::OutOfStock);
        }
        Ok(vec![ProductEvent::StockHeld { order_id, quantity }])
    }
}

impl Aggregate for Product {
    const CATEGORY: &'static str = "product";
    type Command = ProductCommand;
    type Event = ProductEvent;
    type Refusal = ProductRefusal;

    fn decide(&self, command: &ProductCommand) -> Result<Vec<ProductEvent>, ProductRefusal> {
        use ProductCommand as C;
        use ProductEvent as E;
        let held = |order_id: &OrderId| self.held.get(order_id).copied();
        Ok(match command.clone() {
            C::Create { .. } if self.listed.is_some() => return Err(ProductRefusal::AlreadyExists),
            C::Create {
                about,
                available,
                at,
            } => {
                self.adjusted(available)?;
                vec![E::ProductCreated {
                    about,
                    available,
                    at,
                }]
            }
            C::Describe { about, at } => {
                let unchanged = self.listed()?.about == about;
                if unchanged {
                    vec![]
                } else {
                    vec![E::ProductDescribed { about, at }]
                }
            }
            C::Withdraw { at } => {
                self.listed()?;
                vec![E::ProductWithdrawn { at }]
            }
            C::Adjust { delta, reason, at } => {
                self.listed()?;
                self.adjusted(delta)?;
                vec![E::StockAdjusted { delta, reason, at }]
            }
            C::Count {
                available,
                reason,
                at,
            } => {
                self.listed()?;
                let delta = available.saturating_sub(self.available);
                self.adjusted(delta)?;
                if delta == 0 {
                    vec![]
                } else {
                    vec![E::StockAdjusted { delta, reason, at }]
                }
            }
            C::Hold { order_id, quantity } => self.hold(order_id, quantity)?,
            C::Commit { order_id } => held(&order_id)
                .map(|quantity| E::HeldStockCommitted { order_id, quantity })
                .into_iter()
                .collect(),
            C::Release { order_id, restock } => match held(&order_id) {
                Some(quantity) => vec![E::HeldStockReleased { order_id, quantity }],
                None if restock > 0 => vec![E::StockReturned {
                    order_id,
                    quantity: restock,
                }],
                None => vec![],
            },
        })
    }

    fn evolve(&mut self, event: &ProductEvent) {
        use ProductEvent as E;
        match event {
            E::ProductCreated {
                about,
                available,
                at,
            } => {
                self.available += available;
                self.listed = Some(Listed {
                    about: about.clone(),
                    created_at: *at,
                    updated_at: *at,
                });
            }
            E::ProductDescribed { about, at } => {
                if let Some(listed) = &mut self.listed {
                    listed.about = about.clone();
                    listed.updated_at = *at;
                }
            }
            // What is left is not on offer any more; what is held may still be committed.
            E::ProductWithdrawn { .. } => {
                self.listed = None;
                self.available = 0;
            }
            E::StockAdjusted { delta, at, .. } => {
                self.available += delta;
                if let Some(listed) = &mut self.listed {
                    listed.updated_at = *at;
                }
            }
            E::StockHeld { order_id, quantity } => {
                self.available -= quantity;
                self.held.insert(*order_id, *quantity);
            }
            E::HeldStockCommitted { order_id, .. } => {
                self.held.remove(order_id);
            }
            E::HeldStockReleased { order_id, quantity } => {
                self.held.remove(order_id);
                self.available += quantity;
            }
            E::StockReturned { quantity, .. } => self.available += quantity,
        }
    }
}

/// A product's stream grows with every order of it, so its state is kept now and then.
impl Snapshot for Product {
    const SCHEMA: i64 = 1;
}

#[cfg(test)]
mod tests;
