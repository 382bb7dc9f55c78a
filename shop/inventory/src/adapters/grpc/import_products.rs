//! `ImportProducts`: each product by itself, in the order they arrive.

use serde_json::json;
use shop_contracts::grpc::inventory::v1 as pb;
use stanchion::eventsourcing::Metadata;
use stanchion::server::{Body, Problem};
use tonic::{Status, Streaming};

use super::messages::refusal;
use crate::adapters::http::products::bodies::NewProduct;
use crate::adapters::http::products::refused;
use crate::application::products::{Imported, Products};

/// The most refusals that are told with their reasons; the rest is counted.
const REFUSALS_MAX: usize = 100;

/// Imports what arrives until the client says that it was all. The time of the call bounds it.
pub(super) async fn import(
    products: &Products,
    mut arriving: Streaming<pb::ImportProductsRequest>,
    metadata: &Metadata,
) -> Result<pb::ImportProductsResponse, Status> {
    let mut told = pb::ImportProductsResponse::default();
    let mut index = 0;
    while let Some(message) = arriving.message().await? {
        let sku = message.sku.clone();
        match one(products, message, metadata).await {
            Ok(Imported::Created) => told.created += 1,
            Ok(Imported::Described) => told.described += 1,
            Ok(Imported::Unchanged) => told.unchanged += 1,
            Err(problem) => refuse(&mut told, index, sku, problem)?,
        }
        index += 1;
    }
    Ok(told)
}

async fn one(
    products: &Products,
    message: pb::ImportProductsRequest,
    metadata: &Metadata,
) -> Result<Imported, Problem> {
    let Body(new) = new_product(message)?;
    let (sku, about, available) = new.into_parts();
    let imported = products.import(&sku, about, available, metadata).await;
    imported.map_err(|error| refused(error, &sku))
}

/// The message by the rules of REST's body.
fn new_product(message: pb::ImportProductsRequest) -> Result<Body<NewProduct>, Problem> {
    let mut content = json!({
        "sku": message.sku,
        "name": message.name,
        "description": message.description,
        "available": message.available,
    });
    if let Some(price) = message.price {
        content["price"] = json!({"amount": price.amount, "currency": price.currency});
    }
    Body::of(content)
}

fn refuse(
    told: &mut pb::ImportProductsResponse,
    index: u64,
    sku: String,
    problem: Problem,
) -> Result<(), Problem> {
    let refusal = Some(refusal(problem)?);
    told.refused += 1;
    if told.refusals.len() < REFUSALS_MAX {
        told.refusals.push(pb::RefusedProduct {
            index,
            sku,
            refusal,
        });
    }
    Ok(())
}
