//! Before the first order: the file's products in the catalog, a warehouse, and stock in it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::StatusCode;
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{gbp, rules::MAX_QUANTITY, survey::Product};
use crate::client::api::{Api, Request};

/// The API's bound of rows in an import or a receipt.
const BATCH_ROWS: usize = 1_000;
/// Carts learn prices from events; this is far beyond what a healthy deployment needs.
const PRICES_KNOWN_WITHIN: Duration = Duration::from_secs(60);
const WAREHOUSE: &str = "main";

/// What begins the Idempotency-Keys; the number of the batch follows.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) products: String,
    pub(crate) receipts: String,
}

/// Makes products, warehouse and stock, once per set of keys however often it runs.
pub(crate) async fn prepare(
    api: &Api,
    secret_key: &str,
    keys: &Keys,
    products: &BTreeMap<String, Product>,
    stock: Decimal,
) -> anyhow::Result<()> {
    let rows = products
        .iter()
        .map(|(sku, product)| json!({"sku": sku, "title": product.title, "prices": [gbp(product.price)]}));
    for (batch, rows) in batches(rows).into_iter().enumerate() {
        let key = format!("{}:{batch}", keys.products);
        let body = json!({"products": rows});
        api.call(Request::post("/v1/products:import", secret_key, &body).keyed(&key))
            .await?
            .success("importing products")?;
    }
    let path = format!("/v1/admin/warehouses/{WAREHOUSE}");
    api.call(Request::put(&path, secret_key, &json!({"priority": 1}))).await?.success("making the warehouse")?;
    for (batch, rows) in batches(receipts(products, stock)?.into_iter()).into_iter().enumerate() {
        let key = format!("{}:{batch}", keys.receipts);
        let body = json!({"receipts": rows});
        api.call(Request::post("/v1/admin/stock/receipts", secret_key, &body).keyed(&key))
            .await?
            .success("receiving stock")?;
    }
    await_prices(api, secret_key, products).await
}

fn batches(rows: impl Iterator<Item = Value>) -> Vec<Vec<Value>> {
    let rows: Vec<Value> = rows.collect();
    rows.chunks(BATCH_ROWS).map(<[Value]>::to_vec).collect()
}

/// `floor(stock × sold)` pieces of each SKU, in as many rows as the API's bound of a quantity asks for.
fn receipts(products: &BTreeMap<String, Product>, stock: Decimal) -> anyhow::Result<Vec<Value>> {
    let mut rows = Vec::new();
    for (sku, product) in products {
        let pieces = stock.checked_mul(Decimal::from(product.sold)).and_then(|pieces| pieces.floor().to_i64());
        let mut pieces = pieces.with_context(|| format!("the stock of {sku} is out of range"))?;
        while pieces > 0 {
            let quantity = pieces.min(MAX_QUANTITY);
            rows.push(json!({"sku": sku, "warehouse": WAREHOUSE, "quantity": quantity}));
            pieces -= quantity;
        }
    }
    Ok(rows)
}

/// Waits until carts know every product, so that no order is refused for a price that is still on its way. The carts that
/// ask for it have no buyer and are left behind.
async fn await_prices(api: &Api, secret_key: &str, products: &BTreeMap<String, Product>) -> anyhow::Result<()> {
    let begun = Instant::now();
    for lines in batches(products.keys().map(|sku| json!({"sku": sku, "quantity": 1}))) {
        let body = json!({"currency": "GBP", "lines": lines});
        loop {
            let answer = api.call(Request::post("/v1/carts", secret_key, &body)).await?;
            let unknown = answer.status == StatusCode::UNPROCESSABLE_ENTITY && answer.problem() == "unknown-product";
            if !unknown {
                answer.success("asking for prices with a cart")?;
                break;
            }
            if begun.elapsed() > PRICES_KNOWN_WITHIN {
                bail!(
                    "carts do not know the imported products after {} s: {}",
                    PRICES_KNOWN_WITHIN.as_secs(),
                    answer.body
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_is_rounded_down_and_split_at_the_bound() {
        let product = |sold| Product { title: "BOX".into(), price: Decimal::ONE, sold };
        let products = BTreeMap::from([
            ("a".to_owned(), product(3)),
            ("b".to_owned(), product(1)),
            ("c".to_owned(), product(2_000_000)),
        ]);
        let rows = receipts(&products, "0.8".parse().expect("a decimal")).expect("in range");
        let quantities: Vec<_> = rows.iter().map(|row| (row["sku"].as_str(), row["quantity"].as_i64())).collect();
        assert_eq!(quantities, [(Some("a"), Some(2)), (Some("c"), Some(1_000_000)), (Some("c"), Some(600_000))]);
    }
}
