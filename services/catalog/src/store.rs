//! Reading products, for whoever shows or changes them.

use std::collections::BTreeMap;

use anyhow::Context;
use makegood_contracts::{account::Account, money::Money};
use sqlx::{FromRow, PgExecutor, types::Json};

use crate::product::{Product, Versioned};

/// A product's row with all its prices in minor units.
#[derive(Debug, FromRow)]
pub(crate) struct ProductRow {
    sku: String,
    title: String,
    active: bool,
    version: i64,
    prices: Json<BTreeMap<String, i64>>,
}

impl TryFrom<ProductRow> for Versioned {
    type Error = anyhow::Error;

    /// Fails where the row is damaged.
    fn try_from(row: ProductRow) -> anyhow::Result<Self> {
        let ProductRow { sku, title, active, version, prices: Json(prices) } = row;
        let prices =
            prices.iter().map(|(code, minor_units)| Money::from_columns(*minor_units, code)).collect::<Result<_, _>>();
        let prices = prices.with_context(|| format!("prices of product {sku}"))?;
        let product = Product::new(sku, title, prices, active).context("a stored product")?;
        Ok(Self { product, version })
    }
}

/// Those of the account's products that exist, sorted by SKU.
pub(crate) async fn load_products(
    db: impl PgExecutor<'_>,
    account: Account,
    skus: &[&str],
) -> anyhow::Result<Vec<Versioned>> {
    let rows: Vec<ProductRow> = sqlx::query_as(
        r#"
        select p.sku, p.title, p.active, p.version,
               (select coalesce(jsonb_object_agg(currency, amount_minor), '{}') from product_price r
                where r.account_id = p.account_id and r.livemode = p.livemode and r.sku = p.sku) as prices
        from product p
        where p.account_id = $1 and p.livemode = $2 and p.sku = any($3)
        order by p.sku
        "#,
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(skus)
    .fetch_all(db)
    .await
    .context("loading products")?;
    rows.into_iter().map(Versioned::try_from).collect()
}

/// The account's products behind `after`, in the order of their SKUs.
pub(crate) async fn load_page(
    db: impl PgExecutor<'_>,
    account: Account,
    after: &str,
    limit: i64,
) -> anyhow::Result<Vec<Versioned>> {
    let rows: Vec<ProductRow> = sqlx::query_as(
        r#"
        select p.sku, p.title, p.active, p.version,
               (select coalesce(jsonb_object_agg(currency, amount_minor), '{}') from product_price r
                where r.account_id = p.account_id and r.livemode = p.livemode and r.sku = p.sku) as prices
        from product p
        where p.account_id = $1 and p.livemode = $2 and p.sku > $3
        order by p.sku limit $4
        "#,
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await
    .context("loading a page of products")?;
    rows.into_iter().map(Versioned::try_from).collect()
}
