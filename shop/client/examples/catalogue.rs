//! Prints what the shop has on offer: `cargo run -p shop-client --example catalogue -- http://127.0.0.1:8080`.

use anyhow::Context;
use shop_client::{Product, ShopClient};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).context("the shop's URL?")?;
    for product in run(&url).await? {
        println!(
            "{:12} {:>9}  {}",
            product.sku,
            product.price.to_string(),
            product.name
        );
    }
    Ok(())
}

/// Every product, page by page.
pub async fn run(url: &str) -> anyhow::Result<Vec<Product>> {
    let shop = ShopClient::new(url)?;
    let mut all = Vec::new();
    let mut page = shop.products(None, None).await?;
    loop {
        all.append(&mut page.items);
        let Some(cursor) = page.next_cursor else {
            return Ok(all);
        };
        page = shop.products(None, Some(&cursor)).await?;
    }
}
