//! Twelve products for a first look, created once on an empty store.

use shop_inventory::{Priced, Products};
use shop_kernel::{Currency, Money, Sku};

/// SKU, name, description, price in euro cents, pieces in stock.
const PRODUCTS: [(&str, &str, &str, i64, i64); 12] = [
    (
        "COFFEE-BEANS-1KG",
        "Coffee beans, 1 kg",
        "Dark roast from Ethiopia.",
        1890,
        10_000,
    ),
    (
        "COFFEE-GRINDER",
        "Coffee grinder",
        "Conical burrs, forty steps.",
        12900,
        400,
    ),
    (
        "ESPRESSO-CUP",
        "Espresso cup",
        "Thick porcelain, 90 ml.",
        950,
        5_000,
    ),
    (
        "FRENCH-PRESS",
        "French press",
        "Steel and glass, one litre.",
        3490,
        1_200,
    ),
    (
        "GREEN-TEA-100G",
        "Green tea, 100 g",
        "Sencha, first flush.",
        1450,
        3_000,
    ),
    (
        "KETTLE",
        "Kettle",
        "Gooseneck, with a thermometer.",
        5900,
        800,
    ),
    ("MILK-JUG", "Milk jug", "Steel, 350 ml.", 1690, 2_000),
    ("MUG-BLUE", "Mug, blue", "Stoneware, 300 ml.", 1250, 4_000),
    (
        "PAPER-FILTER-100",
        "Paper filters, 100",
        "Unbleached, size 4.",
        390,
        20_000,
    ),
    (
        "SCALE",
        "Scale",
        "A tenth of a gram, with a timer.",
        4200,
        600,
    ),
    ("TEAPOT", "Teapot", "Cast iron, 800 ml.", 6400, 300),
    (
        "WOODEN-SPOON",
        "Wooden spoon",
        "The last one of its kind.",
        790,
        1,
    ),
];

/// Creates them in an empty store, and goes on where a start was interrupted; a store that anybody
/// else has written to stays as it is.
pub(crate) async fn stock_up(products: &Products) -> anyhow::Result<()> {
    let Some(created) = products.only_created(PRODUCTS.len()).await? else {
        return Ok(());
    };
    let ours = PRODUCTS.iter().map(|product| product.0);
    let created_ours = created
        .iter()
        .map(String::as_str)
        .eq(ours.take(created.len()));
    if !created_ours {
        return Ok(());
    }
    for (sku, name, about, cents, available) in PRODUCTS.into_iter().skip(created.len()) {
        let priced = Priced {
            sku: sku.parse::<Sku>()?,
            name: name.to_owned(),
            price: Money::new(cents, Currency::EUR),
        };
        let stocked = products.stock_up(priced, about, available).await;
        stocked.map_err(|reason| anyhow::anyhow!("demo product {sku}: {reason}"))?;
    }
    Ok(())
}
