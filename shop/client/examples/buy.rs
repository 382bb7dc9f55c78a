//! Registers somebody, buys, looks at the payment, and takes it back:
//! `cargo run -p shop-client --example buy -- http://127.0.0.1:8080 bob MUG-BLUE`.

use std::time::Duration;

use anyhow::Context;
use shop_client::{NewOrder, NewUser, Order, SecretString, ShopClient};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &'static str| arguments.next().context(what);
    let (url, name, sku) = (
        next("the shop's URL?")?,
        next("who?")?,
        next("which product?")?,
    );
    let order = run(&url, &name, &sku).await?;
    println!(
        "order {}: {}, {} in all",
        order.id, order.status, order.total
    );
    Ok(())
}

/// What became of the order.
pub async fn run(url: &str, name: &str, sku: &str) -> anyhow::Result<Order> {
    let shop = ShopClient::new(url)?;
    let password = SecretString::from("a password of some length");
    let account = NewUser {
        email: format!("{name}@example.com"),
        username: name.to_owned(),
        password: password.clone(),
    };
    shop.register(&account).await?;
    let buyer = shop.log_in(name, &password).await?;

    let product = shop.product(sku).await?;
    println!(
        "{} buys a {} for {}",
        buyer.me().await?,
        product.name,
        product.price
    );
    let order = NewOrder::of("pm_card_visa").item(sku, 1);
    let basket = format!("basket-of-{name}");
    let order = buyer
        .place_order(&order, &basket, Duration::from_secs(20))
        .await?;
    println!("it is {}", order.status);

    if let Some(payment) = &order.payment_id {
        println!("paid {}", buyer.payment(payment).await?.amount);
    }
    let order = buyer.cancel_order(&order.id).await?;
    buyer.log_out().await?;
    Ok(order)
}
