//! Products: several at once, imported as a stream, and their stock kept right over one that goes both ways.

use std::time::Duration;

use futures_util::{Stream, stream};
use shop_contracts::grpc::common::v1::Money;
use shop_contracts::grpc::inventory::v1::sync_stock_response::Outcome;
use shop_contracts::grpc::inventory::v1::{
    BatchGetProductsRequest, ImportProductsRequest, SyncStockRequest, SyncStockResponse,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Streaming;

use crate::support::Shop;
use crate::support::grpc::violations;

const TOLD_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn several_products_are_told_at_once_and_what_is_missing_is_named() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let asked = |skus: &[&str]| BatchGetProductsRequest {
        skus: skus.iter().map(|sku| (*sku).to_owned()).collect(),
    };
    let both = asked(&["TEA-GREEN-NOT", "MUG-BLUE"]);
    let told = grpc
        .inventory
        .batch_get_products(both)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(told.products.len(), 1);
    assert_eq!(
        (told.products[0].sku.as_str(), told.missing.as_slice()),
        ("MUG-BLUE", &["TEA-GREEN-NOT".to_owned()][..])
    );
    let wrong = grpc
        .inventory
        .batch_get_products(asked(&["MUG-BLUE", "no sku"]))
        .await;
    assert!(violations(wrong).contains_key("skus[1]"));
    for skus in [&[][..], &["MUG-BLUE"; 101]] {
        let wrong = grpc.inventory.batch_get_products(asked(skus)).await;
        assert!(violations(wrong).contains_key("skus"));
    }
}

#[tokio::test]
async fn an_import_creates_describes_and_counts_what_it_refuses() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let staff = shop.staff("grace").await;
    let product = |sku: &str, cents: i64, available: i64| ImportProductsRequest {
        sku: sku.into(),
        name: format!("Product {sku}"),
        description: String::new(),
        price: Some(Money {
            amount: cents,
            currency: "EUR".into(),
        }),
        available,
    };
    let lot = || {
        let priceless = ImportProductsRequest {
            price: None,
            ..product("C", 1, 1)
        };
        stream::iter([
            product("A", 100, 5),
            product("B", 200, 0),
            product("A", 150, 99),
            priceless,
            product("D", -1, 1),
        ])
    };
    let first = grpc
        .inventory
        .import_products(staff.call(lot()))
        .await
        .unwrap();
    let first = first.into_inner();
    assert_eq!(
        (
            first.created,
            first.described,
            first.unchanged,
            first.refused
        ),
        (2, 1, 0, 2)
    );
    let refusals: Vec<_> = first
        .refusals
        .iter()
        .map(|one| (one.index, one.sku.as_str()))
        .collect();
    assert_eq!(refusals, [(3, "C"), (4, "D")]);
    let refusal = first.refusals[1].refusal.as_ref().unwrap();
    assert_eq!(refusal.reason, "VALIDATION_FAILED");
    assert_eq!(refusal.violations[0].field, "price.amount");
    // The stock of what is there already stays.
    assert_eq!((staff.stock("A").await, staff.stock("B").await), (5, 0));

    let again = stream::iter([product("A", 150, 0), product("B", 200, 7)]);
    let again = grpc
        .inventory
        .import_products(staff.call(again))
        .await
        .unwrap();
    assert_eq!(again.into_inner().unchanged, 2);
    assert_eq!((staff.stock("A").await, staff.stock("B").await), (5, 0));
}

#[tokio::test]
async fn each_count_is_answered_before_the_next_is_sent() {
    let shop = Shop::start().await;
    let mut grpc = shop.grpc().await;
    let staff = shop.staff("grace").await;
    staff.stock_product("BEANS", 1250, 10).await;
    let (counts, counted) = mpsc::channel(1);
    let syncing = grpc
        .inventory
        .sync_stock(staff.call(arriving(counted)))
        .await;
    let mut answers = syncing.unwrap().into_inner();
    let mut sync = async |sku: &str, available: i64, expected_version: Option<i64>| {
        let count = SyncStockRequest {
            sku: sku.into(),
            available,
            reason: None,
            expected_version,
        };
        counts.send(count).await.unwrap();
        let answer = next(&mut answers).await.unwrap();
        assert_eq!(answer.sku, sku);
        match answer.outcome.unwrap() {
            Outcome::Product(product) => Ok((product.available, product.version)),
            Outcome::Refusal(refusal) => Err(refusal.reason),
        }
    };
    let (available, version) = sync("BEANS", 7, None).await.unwrap();
    assert_eq!(available, 7);
    // The same again is no news.
    assert_eq!(sync("BEANS", 7, None).await, Ok((7, version)));
    let stale = sync("BEANS", 9, Some(version - 1)).await;
    assert_eq!(stale, Err("PRECONDITION_FAILED".to_owned()));
    assert_eq!(sync("BEANS", 9, Some(version)).await, Ok((9, version + 1)));
    assert_eq!(
        sync("NO-SUCH", 1, None).await,
        Err("PRODUCT_NOT_FOUND".to_owned())
    );
    assert_eq!(
        sync("BEANS", -1, None).await,
        Err("VALIDATION_FAILED".to_owned())
    );
    assert_eq!(staff.stock("BEANS").await, 9);
    drop(counts);
    assert!(next(&mut answers).await.is_none());
}

/// What is sent, as it is sent.
fn arriving<T: Send + 'static>(mut sent: mpsc::Receiver<T>) -> impl Stream<Item = T> + Send {
    stream::poll_fn(move |context| sent.poll_recv(context))
}

async fn next(answers: &mut Streaming<SyncStockResponse>) -> Option<SyncStockResponse> {
    let next = timeout(TOLD_WITHIN, answers.message()).await;
    next.expect("nothing is answered").unwrap()
}
