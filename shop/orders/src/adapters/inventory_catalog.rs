//! The catalogue: inventory's gRPC service, in this process or in another one.

use std::collections::HashMap;

use async_trait::async_trait;
use shop_contracts::grpc::inventory::v1 as pb;
use shop_contracts::grpc::inventory::v1::inventory_service_client::InventoryServiceClient;
use shop_kernel::{Money, Sku};
use stanchion::auth::{Permissions, Principal, ServiceTokens};
use stanchion::client::{ClientSettings, GrpcChannel, SetupError};
use stanchion::resilience::policy::Policy;
use stanchion::server::{AsService, InProcess};
use stanchion::telemetry::Metrics;
use tonic::service::interceptor::InterceptedService;

use crate::application::ports::{Catalog, CatalogUnavailable, Priced};

/// The name of orders where it calls others.
const SERVICE: &str = "orders";
/// Whom it calls, as tokens name it.
const CALLED: &str = "inventory";
/// What it may there.
const SCOPE: &str = "inventory:read";

/// Prices from inventory, which orders asks as `svc:orders` on behalf of the customer.
#[derive(Clone)]
pub struct InventoryCatalog {
    client: InventoryServiceClient<InterceptedService<GrpcChannel, AsService>>,
    channel: GrpcChannel,
}

impl InventoryCatalog {
    /// Inventory in this process.
    #[must_use]
    pub fn within(process: &InProcess) -> Self {
        let channel = GrpcChannel::within(process.calling_as(principal()));
        Self::over(channel, AsService::within(principal()))
    }

    /// Inventory at that URL; `tokens` say who asks.
    ///
    /// # Errors
    /// The URL or a certificate cannot be used, or everybody on the way could read the tokens.
    pub fn at(
        url: &str,
        settings: &ClientSettings,
        metrics: &Metrics,
        tokens: ServiceTokens,
    ) -> Result<Self, SetupError> {
        let channel = GrpcChannel::new("inventory", url, settings, metrics)?;
        let channel = channel.describe(pb::DESCRIPTORS)?;
        if !channel.is_private() {
            let why = "tokens go over https, or over http to a loopback address";
            return Err(SetupError::Url(why.into()));
        }
        Ok(Self::over(
            channel,
            AsService::signed(principal(), CALLED, tokens),
        ))
    }

    /// The policy around the calls; none within the process.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.channel.policy()
    }

    /// Whether inventory answers.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), CatalogUnavailable> {
        let nothing: Sku = "CHECK".parse().expect("these letters are a SKU");
        self.prices(&[nothing]).await.map(drop)
    }

    fn over(channel: GrpcChannel, caller: AsService) -> Self {
        let client = InventoryServiceClient::with_interceptor(channel.clone(), caller);
        Self { client, channel }
    }
}

#[async_trait]
impl Catalog for InventoryCatalog {
    async fn prices(&self, skus: &[Sku]) -> Result<Vec<Option<Priced>>, CatalogUnavailable> {
        let asked = pb::BatchGetProductsRequest {
            skus: skus.iter().map(|sku| sku.as_str().to_owned()).collect(),
        };
        let answer = self.client.clone().batch_get_products(asked).await;
        let answer = answer.map_err(|status| CatalogUnavailable(status.to_string()))?;
        let products = answer.into_inner().products.into_iter().map(priced);
        let mut priced: HashMap<Sku, Priced> = products.collect::<Result<_, _>>()?;
        Ok(skus.iter().map(|sku| priced.remove(sku)).collect())
    }
}

fn priced(product: pb::Product) -> Result<(Sku, Priced), CatalogUnavailable> {
    let sku: Option<Sku> = product.sku.parse().ok();
    let price = product.price.and_then(|price| {
        let currency = price.currency.parse().ok()?;
        Some(Money::new(price.amount, currency))
    });
    let Some((sku, price)) = sku.zip(price) else {
        let why = format!("it answered a product without a price: {:?}", product.sku);
        return Err(CatalogUnavailable(why));
    };
    let name = product.name;
    Ok((sku.clone(), Priced { sku, name, price }))
}

fn principal() -> Principal {
    let permissions = Permissions::parse(SCOPE).unwrap_or_default();
    Principal::service(SERVICE, permissions).expect("its name is one of a service")
}
