//! Real products with stock, so that a fresh server has something to sell. Loaded through the public API, once per home.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{dev_env::DevEnv, home::Home};
use crate::progress::{say, step};

/// Attribution and licence stand at its top.
const PRODUCTS: &str = include_str!("demo_catalog.csv");
/// Two, so that an order can be split; the lower number is asked first.
const WAREHOUSES: [(&str, i64, i64); 2] = [("london", 1, 200), ("leeds", 2, 1_000)];
/// Several at a time, since each answer waits for a commit.
const CONCURRENCY: usize = 8;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize)]
struct Product {
    sku: String,
    title: String,
    price_gbp: String,
}

/// Every request may be repeated, so an interrupted load is simply done again.
pub(crate) async fn load_once(home: &Home, env: &DevEnv) -> Result<()> {
    let marker = home.file("demo_catalog.loaded");
    if marker.exists() {
        return Ok(());
    }
    let products = read()?;
    let count = products.len();
    step("loading the demo catalog", load(&Api::new(env)?, products)).await?;
    fs::write(&marker, "").with_context(|| format!("writing {}", marker.display()))?;
    say(&format!("loaded {count} real products with stock (Chen, D. 2015, Online Retail, UCI, CC BY 4.0)"));
    Ok(())
}

fn read() -> Result<Vec<Product>> {
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(PRODUCTS.as_bytes());
    reader.deserialize().collect::<Result<_, _>>().context("reading the demo catalog")
}

async fn load(api: &Api, products: Vec<Product>) -> Result<()> {
    for (code, priority, _) in WAREHOUSES {
        api.send(api.put(&format!("/v1/admin/warehouses/{code}")), &json!({"priority": priority})).await?;
    }
    let receipts: Vec<Value> = WAREHOUSES
        .iter()
        .flat_map(|(code, _, quantity)| {
            products.iter().map(move |product| json!({"sku": product.sku, "warehouse": code, "quantity": quantity}))
        })
        .collect();
    stream::iter(products)
        .map(|product| async move {
            let price = json!({"amount": product.price_gbp, "currency": "GBP"});
            let body = json!({"title": product.title, "prices": [price]});
            api.send(api.put(&format!("/v1/products/{}", product.sku)), &body).await
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await?;
    let receive = api.post("/v1/admin/stock/receipts").header("Idempotency-Key", "demo-catalog-1");
    api.send(receive, &json!({"receipts": receipts})).await
}

struct Api {
    client: Client,
    url: String,
    admin_key: String,
}

impl Api {
    fn new(env: &DevEnv) -> Result<Self> {
        let client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build().context("making an HTTP client")?;
        Ok(Self { client, url: env.url.clone(), admin_key: env.keys.admin.clone() })
    }

    fn put(&self, path: &str) -> RequestBuilder {
        self.client.put(format!("{}{path}", self.url))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    async fn send(&self, request: RequestBuilder, body: &Value) -> Result<()> {
        let response =
            request.bearer_auth(&self.admin_key).json(body).send().await.context("loading the demo catalog")?;
        let status = response.status();
        if !status.is_success() {
            let url = response.url().path().to_owned();
            bail!("{url} answered {status} while the demo catalog was loaded: {}", response.text().await?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_product_of_the_demo_has_a_price_that_the_api_takes() {
        let products = super::read().expect("reads");
        assert_eq!(products.len(), 64);
        for product in products {
            let price = makegood_contracts::money::Money::parse(
                &product.price_gbp,
                makegood_contracts::money::parse_currency("GBP").expect("known"),
            );
            assert!(price.is_ok_and(|price| price.minor_units > 0), "{product:?}");
        }
    }
}
