//! Cache-aside on two levels: entries in process, and in a tier that processes share.
//!
//! The usual defects: a thousand readers who miss together load a thousand times; the loader that read before a write
//! stores the old value after it; the other process keeps what was changed; an outage of the cache is one of the
//! service. Here one loads for all, what was loaded before an invalidation is not kept anywhere, the other process
//! hears of it, and without the shared tier values come from the store.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion::cache::{Cache, CacheSettings, Loaded, MemoryRemote};
use tokio::time::sleep;

/// The store: a price, and how often it was read.
#[derive(Clone, Default)]
struct Store {
    price: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Store {
    async fn price(self) -> Result<Loaded<u64>, Infallible> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let price = self.price.load(Ordering::SeqCst);
        // The way back takes time, in which it may change.
        sleep(Duration::from_millis(20)).await;
        Ok(Loaded::found(price))
    }
}

type Prices = Cache<String, u64>;

async fn price(prices: &Prices, store: &Store) -> Result<u64, anyhow::Error> {
    let store = store.clone();
    let found = prices
        .get_or_load(&"tea".to_owned(), || store.price())
        .await?;
    found
        .as_deref()
        .copied()
        .ok_or_else(|| anyhow::anyhow!("there is no tea"))
}

/// First the write, then the word of it.
async fn set_price(prices: &Prices, store: &Store, price: u64) {
    store.price.store(price, Ordering::SeqCst);
    prices.invalidate(&"tea".to_owned()).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // In a service: `stanchion::redis::cache::CacheTier`.
    let shared = MemoryRemote::default();
    let process = || -> Prices {
        let builder = Cache::builder("prices", &CacheSettings::default());
        builder.remote(Arc::new(shared.clone())).build()
    };
    let (one, other) = (process(), process());
    let store = Store::default();
    store.price.store(1_250, Ordering::SeqCst);

    let readers = (0..1_000).map(|_| price(&one, &store));
    let prices = futures_util::future::try_join_all(readers).await?;
    let reads = || store.reads.load(Ordering::SeqCst);
    println!(
        "{} readers at once: {} read of the store",
        prices.len(),
        reads()
    );
    assert_eq!(reads(), 1);
    price(&other, &store).await?;
    println!("the other process: {} read", reads());
    assert_eq!(reads(), 1);

    set_price(&other, &store, 1_300).await;
    println!("changed by the other: {}", price(&one, &store).await?);
    assert_eq!(price(&one, &store).await?, 1_300);

    // A slow reader has the old price on its way while it changes.
    one.invalidate(&"tea".to_owned()).await;
    let (slow, ()) = tokio::join!(price(&one, &store), async {
        sleep(Duration::from_millis(5)).await;
        set_price(&other, &store, 1_400).await;
    });
    println!(
        "the slow reader: {}, who comes after: {}",
        slow?,
        price(&one, &store).await?
    );
    assert_eq!(price(&one, &store).await?, 1_400);

    shared.set_out(true);
    println!("without the shared tier: {}", price(&one, &store).await?);
    Ok(())
}
