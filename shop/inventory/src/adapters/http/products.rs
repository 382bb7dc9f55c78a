//! `/products`.

pub(crate) mod bodies;

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shop_kernel::{Money, Sku};
use stanchion::auth::{Principal, permissions};
use stanchion::eventsourcing::{Executed, Metadata, Version};
use stanchion::server::{
    Answer, Anyone, Authorized, Body, Code, ConsistencyToken, Filters, Idempotency, IfMatch,
    Listed, Listing, MergePatch, PathId, Problem, Routes, op,
};
use utoipa::ToSchema;

use crate::adapters::projections::products::{ProductList, ProductRow};
use crate::application::known::KnownProduct;
use crate::application::products::{Products, now};
use crate::domain::product::{self, Description, Product, ProductCommand, ProductRefusal};
use bodies::{NewProduct, ProductBody, StockChange};

const PRODUCT_NOT_FOUND: Code = Code::not_found("PRODUCT_NOT_FOUND", "There is no such product.");
const SKU_TAKEN: Code = Code::exists("SKU_TAKEN", "There is a product with this SKU.");
const OUT_OF_STOCK: Code = Code::conflict("OUT_OF_STOCK", "There is not enough in stock.");
const STOCK_LIMIT: Code = Code::refused("STOCK_LIMIT", "There would be too much in stock.");

permissions! {
    /// Create, change and withdraw products, and move their stock.
    pub WriteInventory = "inventory:write";
}

/// What the routes work on.
#[derive(Clone)]
pub(crate) struct ProductRoutes {
    pub(crate) products: Products,
    pub(crate) list: Arc<ProductList>,
}

pub(crate) fn routes(state: ProductRoutes) -> Routes {
    Routes::new()
        .get("/products", op("List products", list_products))
        .post(
            "/products",
            op("Create a product", create_product)
                .status(201)
                .errors(&[SKU_TAKEN, STOCK_LIMIT]),
        )
        .get(
            "/products/{sku}",
            op("Get a product", get_product).errors(&[PRODUCT_NOT_FOUND]),
        )
        .put(
            "/products/{sku}",
            op("Describe a product anew", put_product).errors(&[PRODUCT_NOT_FOUND]),
        )
        .patch(
            "/products/{sku}",
            op("Change a product's description", patch_product).errors(&[PRODUCT_NOT_FOUND]),
        )
        .delete(
            "/products/{sku}",
            op("Withdraw a product", delete_product).errors(&[PRODUCT_NOT_FOUND]),
        )
        .post(
            "/products/{sku}/stock",
            op("Add or take stock", adjust_stock).errors(&[
                PRODUCT_NOT_FOUND,
                OUT_OF_STOCK,
                STOCK_LIMIT,
            ]),
        )
        .with_state(state)
}

/// A product on offer.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductView {
    pub(crate) sku: Sku,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
    /// How many are free to be ordered.
    pub(crate) available: i64,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Which products.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductFilters {
    /// Part of the name or the SKU, in any case.
    #[schema(max_length = 100)]
    pub(crate) q: Option<String>,
    /// Only those that are in stock, or only those that are not.
    pub(crate) in_stock: Option<bool>,
}

impl Filters for ProductFilters {
    const SORTS: &'static [&'static str] = &["created_at", "name", "price"];
}

pub(crate) async fn list_products(
    _: Anyone,
    State(state): State<ProductRoutes>,
    consistency: ConsistencyToken,
    listing: Listing<ProductFilters>,
) -> Result<Listed<ProductView>, Problem> {
    let rows = state.list.read(&listing, consistency).await?;
    Ok(rows.map(ProductView::from))
}

async fn get_product(
    _: Anyone,
    State(state): State<ProductRoutes>,
    consistency: ConsistencyToken,
    PathId(sku): PathId<Sku>,
) -> Result<Answer<ProductView>, Problem> {
    shown(&state.products, consistency, &sku).await
}

/// The product, from near; as it is now for who sends the token of a write.
pub(crate) async fn shown(
    products: &Products,
    consistency: ConsistencyToken,
    sku: &Sku,
) -> Result<Answer<ProductView>, Problem> {
    let view = match consistency.position(products.log_id()) {
        Some(_) => products.known_now(sku).await?.map(|known| known.view(sku)),
        None => found(products, sku).await?,
    };
    let view = view.ok_or_else(|| not_found(sku))?;
    let version = view.version;
    Ok(Answer::ok(view).etag(version))
}

/// The product, from near; none that is not on offer.
pub(crate) async fn found(products: &Products, sku: &Sku) -> Result<Option<ProductView>, Problem> {
    let known = products.known(sku).await?;
    Ok(known.map(|known| known.view(sku)))
}

async fn create_product(
    caller: Authorized<WriteInventory>,
    State(state): State<ProductRoutes>,
    idempotency: Idempotency,
    Body(new): Body<NewProduct>,
) -> Result<Answer<ProductView>, Problem> {
    let metadata = caused_by(&caller);
    let (sku, about, available) = new.into_parts();
    let command = ProductCommand::Create {
        about,
        available,
        at: now(),
    };
    let created = |product: &Product, version| {
        let view = view(&sku, product, version).ok_or_else(|| not_found(&sku))?;
        Ok(Answer::created(format!("/products/{sku}"), view).etag(version.0))
    };
    let executed = state
        .products
        .on(&sku, &metadata)
        .settling(settle(&idempotency, &created))
        .execute(&command)
        .await
        .map_err(|error| refused(error, &sku))?;
    answer(&state, executed, created)
}

async fn put_product(
    caller: Authorized<WriteInventory>,
    State(state): State<ProductRoutes>,
    PathId(sku): PathId<Sku>,
    if_match: IfMatch,
    Body(body): Body<ProductBody>,
) -> Result<Answer<ProductView>, Problem> {
    describe(&caller, &state, &sku, &if_match, |_| Ok(body.about())).await
}

async fn patch_product(
    caller: Authorized<WriteInventory>,
    State(state): State<ProductRoutes>,
    PathId(sku): PathId<Sku>,
    if_match: IfMatch,
    patch: MergePatch<ProductBody>,
) -> Result<Answer<ProductView>, Problem> {
    describe(&caller, &state, &sku, &if_match, |about| {
        Ok(patch.apply(&about.into())?.about())
    })
    .await
}

async fn delete_product(
    caller: Authorized<WriteInventory>,
    State(state): State<ProductRoutes>,
    PathId(sku): PathId<Sku>,
    if_match: IfMatch,
) -> Result<Answer, Problem> {
    let metadata = caused_by(&caller);
    let expected = expected(&state, &sku, &if_match).await?;
    let withdrawing = state.products.on(&sku, &metadata).expecting(expected);
    let withdrawn = withdrawing
        .execute(&ProductCommand::Withdraw { at: now() })
        .await;
    withdrawn.map_err(|error| refused(error, &sku))?;
    Ok(Answer::no_content())
}

async fn adjust_stock(
    caller: Authorized<WriteInventory>,
    State(state): State<ProductRoutes>,
    PathId(sku): PathId<Sku>,
    idempotency: Idempotency,
    if_match: IfMatch,
    Body(change): Body<StockChange>,
) -> Result<Answer<ProductView>, Problem> {
    let metadata = caused_by(&caller);
    let expected = expected(&state, &sku, &if_match).await?;
    let (delta, reason) = (change.delta, change.reason);
    let command = ProductCommand::Adjust {
        delta,
        reason,
        at: now(),
    };
    let adjusted = |product: &Product, version| {
        let view = view(&sku, product, version).ok_or_else(|| not_found(&sku))?;
        Ok(Answer::ok(view).etag(version.0))
    };
    let executed = state
        .products
        .on(&sku, &metadata)
        .expecting(expected)
        .settling(settle(&idempotency, &adjusted))
        .execute(&command)
        .await
        .map_err(|error| refused(error, &sku))?;
    answer(&state, executed, adjusted)
}

/// The version that the product must still have when it is changed, if the caller named versions.
async fn expected(
    state: &ProductRoutes,
    sku: &Sku,
    if_match: &IfMatch,
) -> Result<Option<Version>, Problem> {
    if !if_match.is_given() {
        return Ok(None);
    }
    let loaded = state.products.find(sku).await?;
    let version = loaded.version.filter(|_| loaded.state.listed.is_some());
    let version = version.ok_or_else(|| not_found(sku))?;
    Ok(if_match.expected(version.0)?.map(Version))
}

async fn describe(
    caller: &Principal,
    state: &ProductRoutes,
    sku: &Sku,
    if_match: &IfMatch,
    change: impl Fn(Description) -> Result<Description, Problem>,
) -> Result<Answer<ProductView>, Problem> {
    let metadata = caused_by(caller);
    let expected = |version: Version| if_match.check(version.0);
    let described = state.products.describe::<DescribeProblem>(
        sku,
        |version| expected(version).map_err(DescribeProblem::Problem),
        |about| change(about).map_err(DescribeProblem::Problem),
        &metadata,
    );
    let executed = described.await.map_err(|problem| problem.at(sku))?;
    answer(state, executed, |product, version| {
        let view = view(sku, product, version).ok_or_else(|| not_found(sku))?;
        Ok(Answer::ok(view).etag(version.0))
    })
}

/// Either side of a change may have said no.
enum DescribeProblem {
    Problem(Problem),
    Refused(crate::application::products::Refused),
}

impl DescribeProblem {
    fn at(self, sku: &Sku) -> Problem {
        match self {
            Self::Problem(problem) => problem,
            Self::Refused(error) => refused(error, sku),
        }
    }
}

impl From<crate::application::products::Refused> for DescribeProblem {
    fn from(error: crate::application::products::Refused) -> Self {
        Self::Refused(error)
    }
}

impl From<stanchion::eventsourcing::LogError> for DescribeProblem {
    fn from(error: stanchion::eventsourcing::LogError) -> Self {
        Self::Problem(error.into())
    }
}

pub(crate) fn caused_by(caller: &Principal) -> Metadata {
    Metadata::new(Some(caller.subject.to_string()))
}

/// The inbox row that commits with the change, holding the answer to a repeat.
fn settle<'a>(
    idempotency: &'a Idempotency,
    answer: &'a (impl Fn(&Product, Version) -> Result<Answer<ProductView>, Problem> + Sync),
) -> impl Fn(&Product, Version) -> Option<stanchion::messaging::InboxEntry> + Sync + 'a {
    move |product, version| {
        let answer = answer(product, version).ok()?;
        idempotency.entry(&answer)
    }
}

fn answer(
    state: &ProductRoutes,
    executed: Executed<Product>,
    answer: impl Fn(&Product, Version) -> Result<Answer<ProductView>, Problem>,
) -> Result<Answer<ProductView>, Problem> {
    let version = executed.version.unwrap_or(Version(0));
    let answer = answer(&executed.state, version)?;
    Ok(answer.consistency(state.products.log_id(), executed.position))
}

pub(crate) fn not_found(sku: &Sku) -> Problem {
    PRODUCT_NOT_FOUND.with("sku", sku)
}

pub(crate) fn refused(error: crate::application::products::Refused, sku: &Sku) -> Problem {
    use stanchion::eventsourcing::ExecuteError;
    match error {
        ExecuteError::Refused(ProductRefusal::Unknown) => not_found(sku),
        other => other.into(),
    }
}

impl From<ProductRefusal> for Problem {
    fn from(refusal: ProductRefusal) -> Self {
        match refusal {
            ProductRefusal::Unknown => PRODUCT_NOT_FOUND.problem(),
            ProductRefusal::AlreadyExists => SKU_TAKEN.problem(),
            ProductRefusal::OutOfStock => OUT_OF_STOCK.problem(),
            ProductRefusal::TooMuch => STOCK_LIMIT.problem(),
        }
    }
}

pub(crate) fn view(sku: &Sku, product: &Product, version: Version) -> Option<ProductView> {
    let known = KnownProduct::of(product, Some(version))?;
    Some(known.view(sku))
}

impl KnownProduct {
    fn view(self, sku: &Sku) -> ProductView {
        let product::Listed {
            about,
            created_at,
            updated_at,
        } = self.listed;
        ProductView {
            sku: sku.clone(),
            name: about.name,
            description: about.description,
            price: about.price,
            available: self.available,
            version: self.version,
            created_at,
            updated_at,
        }
    }
}

impl From<ProductRow> for ProductView {
    fn from(row: ProductRow) -> Self {
        Self {
            sku: row.sku,
            name: row.name,
            description: row.description,
            price: row.price,
            available: row.available,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
