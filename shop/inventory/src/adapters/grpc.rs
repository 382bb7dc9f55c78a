//! gRPC: `inventory.v1`. Each method is its REST operation, or the use case that only streams have: what came as a message
//! is read by the same rules, and what is answered is the same view in another form.

mod import_products;
mod messages;
mod sync_stock;

use std::pin::Pin;

use axum::extract::State;
use futures_util::Stream;
use shop_contracts::grpc::MESSAGE_BYTES_MAX;
use shop_contracts::grpc::inventory::v1 as pb;
use shop_contracts::grpc::inventory::v1::inventory_service_server::{
    InventoryService, InventoryServiceServer,
};
use shop_kernel::Sku;
use stanchion::server::{
    Anyone, Authorized, Grpc, Listed, Listing, Optional, Problem, Violations, answered,
    grpc_methods, metadata, respond,
};
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, Streaming};

use super::http::products::{
    ProductRoutes, ProductView, WriteInventory, caused_by, found, list_products, shown,
};

/// The most products that are asked for at once.
const BATCH_MAX: usize = 100;

/// The service; its methods say who may call them.
pub(crate) fn service(routes: ProductRoutes) -> Grpc {
    let server = InventoryServiceServer::new(InventoryApi { routes })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    Grpc::stated_by::<InventoryApi>(server, pb::DESCRIPTORS)
}

struct InventoryApi {
    routes: ProductRoutes,
}

grpc_methods! {
    impl InventoryService for InventoryApi {
        type SyncStockStream =
            Pin<Box<dyn Stream<Item = Result<pb::SyncStockResponse, Status>> + Send>>;

        async fn get_product(
            &self,
            _: Anyone,
            request: Request<pb::GetProductRequest>,
        ) -> Result<Response<pb::Product>, Status> {
            let consistency = metadata(request.metadata()).await?;
            let sku = sku(&request.get_ref().sku)?;
            answered(shown(&self.routes.products, consistency, &sku).await)
        }

        async fn batch_get_products(
            &self,
            _: Optional,
            request: Request<pb::BatchGetProductsRequest>,
        ) -> Result<Response<pb::BatchGetProductsResponse>, Status> {
            respond(self.batch(&request.into_inner().skus).await)
        }

        async fn list_products(
            &self,
            anyone: Anyone,
            request: Request<pb::ListProductsRequest>,
        ) -> Result<Response<pb::ListProductsResponse>, Status> {
            let listed = self.list(anyone, request).await;
            respond(listed.map(messages::listed))
        }

        async fn import_products(
            &self,
            caller: Authorized<WriteInventory>,
            request: Request<Streaming<pb::ImportProductsRequest>>,
        ) -> Result<Response<pb::ImportProductsResponse>, Status> {
            let metadata = caused_by(&caller);
            let products = &self.routes.products;
            let imported =
                import_products::import(products, request.into_inner(), &metadata).await?;
            Ok(Response::new(imported))
        }

        async fn sync_stock(
            &self,
            caller: Authorized<WriteInventory>,
            request: Request<Streaming<pb::SyncStockRequest>>,
        ) -> Result<Response<Self::SyncStockStream>, Status> {
            let metadata = caused_by(&caller);
            let products = self.routes.products.clone();
            let answers = sync_stock::sync(products, request.into_inner(), metadata);
            Ok(Response::new(Box::pin(answers)))
        }
    }
}

impl InventoryApi {
    async fn batch(&self, skus: &[String]) -> Result<pb::BatchGetProductsResponse, Problem> {
        let mut answer = pb::BatchGetProductsResponse::default();
        for sku in batch(skus)? {
            match found(&self.routes.products, &sku).await? {
                Some(product) => answer.products.push(product.into()),
                None => answer.missing.push(sku.into()),
            }
        }
        Ok(answer)
    }

    async fn list(
        &self,
        anyone: Anyone,
        request: Request<pb::ListProductsRequest>,
    ) -> Result<Listed<ProductView>, Problem> {
        let consistency = metadata(request.metadata()).await?;
        let listing = Listing::of(messages::parameters(request.into_inner()))?;
        list_products(anyone, State(self.routes.clone()), consistency, listing).await
    }
}

fn sku(text: &str) -> Result<Sku, Problem> {
    let parsed = text.parse();
    parsed.map_err(|error| Problem::invalid_parameter("sku", error))
}

fn batch(skus: &[String]) -> Result<Vec<Sku>, Problem> {
    let mut violations = Violations::default();
    let fits = (1..=BATCH_MAX).contains(&skus.len());
    violations.require(fits, "skus", format!("must be 1 to {BATCH_MAX} SKUs"));
    let skus = if fits { skus } else { &[] };
    let mut parsed = Vec::with_capacity(skus.len());
    for (nth, text) in skus.iter().enumerate() {
        match text.parse() {
            Ok(sku) => parsed.push(sku),
            Err(error) => {
                let error: shop_kernel::BadSku = error;
                violations.add(&format!("skus[{nth}]"), error.to_string());
            }
        }
    }
    violations.into_result()?;
    Ok(parsed)
}
