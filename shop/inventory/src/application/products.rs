//! What staff does with products, and what everybody may know of them.

use std::sync::Arc;

use jiff::Timestamp;
use shop_kernel::{Money, Sku};
use stanchion::eventsourcing::{
    ExecuteError, Executed, Execution, Filter, Loaded, LogError, Metadata, Position, Repository,
    Version,
};

use super::known::{KnownProduct, ProductCache};
use crate::domain::product::{Description, Product, ProductCommand, ProductRefusal};

pub(crate) type Refused = ExecuteError<ProductRefusal>;

/// How often a change starts anew because the stock moved meanwhile.
const DESCRIBE_MAX: usize = 8;

/// Products by SKU.
#[derive(Clone)]
pub struct Products {
    repository: Arc<Repository<Product>>,
    near: Option<ProductCache>,
}

/// A product's name and price.
#[derive(Clone, Debug, PartialEq)]
pub struct Priced {
    /// Which product.
    pub sku: Sku,
    /// What it is called.
    pub name: String,
    /// What one costs.
    pub price: Money,
}

impl Products {
    pub(crate) fn new(repository: Arc<Repository<Product>>, near: Option<ProductCache>) -> Self {
        Self { repository, near }
    }

    /// The SKUs of all products, in the order of their creation, if creating at most `limit` of them
    /// is all that ever happened here.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn only_created(&self, limit: usize) -> Result<Option<Vec<String>>, LogError> {
        let log = self.repository.log();
        let entries = log.read(Position::START, &Filter::all(), limit + 1).await?;
        let only = entries.len() <= limit && entries.iter().all(|e| e.kind == "product_created");
        let skus = entries.iter().map(|entry| entry.stream.id().to_owned());
        Ok(only.then(|| skus.collect()))
    }

    /// Creates a product with some in stock, at a first start.
    ///
    /// # Errors
    /// Why not, as text: the SKU is taken, or the log is out.
    pub async fn stock_up(
        &self,
        priced: Priced,
        about: &str,
        available: i64,
    ) -> Result<(), String> {
        let about = Description {
            name: priced.name,
            description: about.to_owned(),
            price: priced.price,
        };
        let at = stanchion::runtime::clock::now();
        let command = ProductCommand::Create {
            about,
            available,
            at,
        };
        let metadata = Metadata::new(None);
        let created = self
            .repository
            .execute(priced.sku.as_str(), &command, &metadata)
            .await;
        created.map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn repository(&self) -> Arc<Repository<Product>> {
        Arc::clone(&self.repository)
    }

    pub(crate) fn log_id(&self) -> stanchion::eventsourcing::LogId {
        self.repository.log().id()
    }

    pub(crate) async fn find(&self, sku: &Sku) -> Result<Loaded<Product>, LogError> {
        self.repository.load(sku.as_str()).await
    }

    /// What everybody may know of a product, perhaps a moment old; `None` for one that is not on offer.
    pub(crate) async fn known(&self, sku: &Sku) -> Result<Option<KnownProduct>, LogError> {
        let Some(near) = &self.near else {
            return self.known_now(sku).await;
        };
        let (store, wanted) = (self.clone(), sku.clone());
        let load = || async move { store.known_now(&wanted).await };
        near.get(sku, load).await
    }

    /// The same as the store has it now.
    pub(crate) async fn known_now(&self, sku: &Sku) -> Result<Option<KnownProduct>, LogError> {
        let loaded = self.find(sku).await?;
        Ok(KnownProduct::of(&loaded.state, loaded.version))
    }

    pub(crate) fn on<'a>(&'a self, sku: &'a Sku, metadata: &'a Metadata) -> Execution<'a, Product> {
        self.repository.on(sku.as_str(), metadata)
    }

    /// Changes name, description or price, starting from how the product is described now.
    pub(crate) async fn describe<E: From<Refused> + From<LogError>>(
        &self,
        sku: &Sku,
        expected: impl Fn(Version) -> Result<(), E>,
        change: impl Fn(Description) -> Result<Description, E>,
        metadata: &Metadata,
    ) -> Result<Executed<Product>, E> {
        for _ in 0..DESCRIBE_MAX {
            let loaded = self.find(sku).await?;
            let (Some(listed), Some(version)) = (loaded.state.listed, loaded.version) else {
                return Err(ExecuteError::Refused(ProductRefusal::Unknown).into());
            };
            expected(version)?;
            let command = ProductCommand::Describe {
                about: change(listed.about)?,
                at: now(),
            };
            match self
                .on(sku, metadata)
                .expecting(Some(version))
                .execute(&command)
                .await
            {
                // Stock moved meanwhile: the change starts from the product as it is then.
                Err(ExecuteError::VersionMismatch { .. }) => {}
                other => return Ok(other?),
            }
        }
        Err(ExecuteError::Unavailable("the stock moved all the time".into()).into())
    }

    /// Creates the product, or describes the one anew that is there, whose stock stays. Once is enough.
    pub(crate) async fn import(
        &self,
        sku: &Sku,
        about: Description,
        available: i64,
        metadata: &Metadata,
    ) -> Result<Imported, Refused> {
        let create = ProductCommand::Create {
            about: about.clone(),
            available,
            at: now(),
        };
        match self.on(sku, metadata).execute(&create).await {
            Ok(_) => return Ok(Imported::Created),
            Err(ExecuteError::Refused(ProductRefusal::AlreadyExists)) => {}
            Err(error) => return Err(error),
        }
        let describe = ProductCommand::Describe { about, at: now() };
        let described = self.on(sku, metadata).execute(&describe).await?;
        Ok(if described.events.is_empty() {
            Imported::Unchanged
        } else {
            Imported::Described
        })
    }
}

/// What became of a product that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Imported {
    /// It is new.
    Created,
    /// It was there, and is described otherwise now.
    Described,
    /// It was there just so.
    Unchanged,
}

pub(crate) fn now() -> Timestamp {
    stanchion::runtime::clock::now()
}
