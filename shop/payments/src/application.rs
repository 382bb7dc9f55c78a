//! Use cases, and what they need of the outside.

pub(crate) mod answer_orders;
pub(crate) mod call_gateway;
pub(crate) mod gateway_requests;
pub(crate) mod hear_gateway;
pub(crate) mod ports;
pub(crate) mod request_refund;

use stanchion::eventsourcing::Repository;

use crate::domain::payment::Payment;

/// Where payments are kept.
pub(crate) type Payments = Repository<Payment>;

#[cfg(test)]
mod registry;
