//! `SyncStock`: an answer for each count, in their order; the next count is read when the answer is taken.

use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use shop_contracts::grpc::inventory::v1 as pb;
use shop_contracts::grpc::inventory::v1::sync_stock_response::Outcome;
use shop_kernel::Sku;
use stanchion::eventsourcing::{Metadata, Version};
use stanchion::server::{Body, Problem, Validate, Violations};
use tonic::{Status, Streaming};

use super::messages::refusal;
use crate::adapters::http::products::{ProductView, not_found, refused, view};
use crate::application::products::{Products, now};
use crate::domain::product::{AVAILABLE_MAX, ProductCommand};

/// What stands in a product's history unless the client says why.
const REASON: &str = "sync";

/// Deals with what arrives until the client says that it was all.
pub(super) fn sync(
    products: Products,
    arriving: Streaming<pb::SyncStockRequest>,
    metadata: Metadata,
) -> impl Stream<Item = Result<pb::SyncStockResponse, Status>> + Send + 'static {
    let syncing = Syncing {
        products,
        arriving,
        metadata,
    };
    stream::try_unfold(syncing, |mut syncing| async {
        let answer = syncing.next().await?;
        Ok(answer.map(|answer| (answer, syncing)))
    })
}

struct Syncing {
    products: Products,
    arriving: Streaming<pb::SyncStockRequest>,
    metadata: Metadata,
}

impl Syncing {
    async fn next(&mut self) -> Result<Option<pb::SyncStockResponse>, Status> {
        let Some(message) = self.arriving.message().await? else {
            return Ok(None);
        };
        let sku = message.sku.clone();
        let outcome = match self.one(message).await {
            Ok(product) => Outcome::Product(product.into()),
            Err(problem) => Outcome::Refusal(refusal(problem)?),
        };
        let outcome = Some(outcome);
        Ok(Some(pb::SyncStockResponse { sku, outcome }))
    }

    async fn one(&self, message: pb::SyncStockRequest) -> Result<ProductView, Problem> {
        let expected = message.expected_version.map(Version);
        let Body(Count {
            sku,
            available,
            reason,
        }) = count(message)?;
        let command = ProductCommand::Count {
            available,
            reason,
            at: now(),
        };
        let counting = self.products.on(&sku, &self.metadata).expecting(expected);
        let counted = counting.execute(&command).await;
        let counted = counted.map_err(|error| refused(error, &sku))?;
        let version = counted.version.unwrap_or(Version(0));
        view(&sku, &counted.state, version).ok_or_else(|| not_found(&sku))
    }
}

/// How many of a product there are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
    sku: Sku,
    available: i64,
    reason: String,
}

impl Validate for Count {
    fn validate(&self, violations: &mut Violations) {
        violations.range("available", self.available, 0, AVAILABLE_MAX);
        violations.length("reason", &self.reason, 1, 200);
    }
}

fn count(message: pb::SyncStockRequest) -> Result<Body<Count>, Problem> {
    let reason = message.reason.unwrap_or_else(|| REASON.to_owned());
    Body::of(json!({"sku": message.sku, "available": message.available, "reason": reason}))
}
