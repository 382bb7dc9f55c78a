//! Stub while the store is not there.
use shop_kernel::UserId;
use stanchion::server::{ConsistencyToken, Listed, Listing, Problem};
use crate::adapters::http::order::OrderView;
use crate::adapters::http::orders::OrderFilters;
pub(crate) struct OrderSummaries;
impl OrderSummaries {
    pub(crate) async fn read(&self, listing: &Listing<OrderFilters>, customer: Option<UserId>, _consistency: ConsistencyToken) -> Result<Listed<OrderView>, Problem> {
        let _ = customer;
        Ok(Listed::of(listing, vec![], None, |_: &OrderView| 1))
    }
}
