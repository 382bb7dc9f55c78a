//! Views as messages of `inventory.v1`, and what lists are asked for.

use serde_json::Value;
use shop_contracts::grpc::inventory::v1 as pb;
use shop_contracts::grpc::timestamp;
use stanchion::server::{Listed, Problem};

use crate::adapters::http::products::ProductView;

/// What a list is asked for, as REST's query has it.
pub(super) fn parameters(asked: pb::ListProductsRequest) -> [(&'static str, Option<String>); 7] {
    [
        ("page", asked.page.map(|page| page.to_string())),
        ("limit", asked.limit.map(|limit| limit.to_string())),
        ("sort", asked.sort),
        ("order", asked.order),
        ("cursor", asked.cursor),
        ("q", asked.q),
        ("in_stock", asked.in_stock.map(|only| only.to_string())),
    ]
}

pub(super) fn listed(listed: Listed<ProductView>) -> pb::ListProductsResponse {
    let (products, page) = listed.into_parts();
    pb::ListProductsResponse {
        products: products.into_iter().map(Into::into).collect(),
        page: page.page,
        limit: page.limit,
        total: page.total,
        total_pages: page.total_pages,
        next_cursor: page.next_cursor,
    }
}

impl From<ProductView> for pb::Product {
    fn from(product: ProductView) -> Self {
        Self {
            sku: product.sku.into(),
            name: product.name,
            description: product.description,
            price: Some(product.price.into()),
            available: product.available,
            version: product.version,
            created_at: Some(timestamp(product.created_at)),
            updated_at: Some(timestamp(product.updated_at)),
        }
    }
}

/// A problem with one of many, which keeps nobody from the others; what is our fault ends them all.
pub(super) fn refusal(problem: Problem) -> Result<pb::Refusal, Problem> {
    if problem.status().is_server_error() {
        return Err(problem);
    }
    Ok(pb::Refusal {
        reason: problem.code().to_owned(),
        message: problem.text().to_owned(),
        violations: violations(&problem),
    })
}

fn violations(problem: &Problem) -> Vec<pb::FieldViolation> {
    let Some(Value::Object(fields)) = problem.details().get("fields") else {
        return Vec::new();
    };
    let violations = fields.iter().flat_map(|(field, reasons)| {
        let reasons = reasons.as_array().into_iter().flatten();
        reasons.map(move |reason| pb::FieldViolation {
            field: field.clone(),
            description: reason.as_str().unwrap_or_default().to_owned(),
        })
    });
    violations.collect()
}
