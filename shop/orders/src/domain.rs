//! The rules: what an order may become, and what its fulfilment asks for next. Pure.

pub(crate) mod fulfilment;
pub(crate) mod order;
#[cfg(test)]
mod registry;
