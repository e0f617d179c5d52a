//! Writing products, one or a thousand, with their events in the same transaction.
//!
//! A fixed number of statements whatever the size. New rows are inserted first, so that two writers of a product that
//! nobody has seen yet wait for each other on its key; rows that exist are locked in the order of SKUs, and only then
//! are they read, by a statement of its own: one that waited for a lock would still see the prices of before.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use makegood_contracts::{
    account::Account,
    catalog::{PRODUCT_PRICED, ProductPriced},
    money::Money,
};
use makegood_messaging::event_log::{self, NewEvent};
use sqlx::PgConnection;

use crate::{
    product::{Change, FIRST_VERSION, Product, Versioned},
    store::load_products,
};

/// What became of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    /// Absent: it did not exist.
    pub(crate) before: Option<i64>,
    pub(crate) version: i64,
    pub(crate) change: Change,
}

/// Makes the account's products what they are said to be; one result per product, in order. No SKU stands twice.
pub(crate) async fn write_products(
    tx: &mut PgConnection,
    account: Account,
    products: &[Product],
) -> anyhow::Result<Vec<Written>> {
    let mut sorted: Vec<&Product> = products.iter().collect();
    sorted.sort_unstable_by_key(|product| product.sku());
    let created = insert_new(tx, account, &sorted).await.context("inserting products")?;
    let existing: Vec<&str> =
        sorted.iter().map(|product| product.sku()).filter(|sku| !created.contains(*sku)).collect();
    let current = lock_and_load(tx, account, &existing).await?;

    let mut written = Vec::with_capacity(products.len());
    for product in products {
        written.push(match current.get(product.sku()) {
            Some(now) => {
                let (change, version) = now.change_to(product);
                Written { before: Some(now.version), version, change }
            }
            None => Written { before: None, version: FIRST_VERSION, change: Change::Created },
        });
    }
    let changed: Vec<(&Product, Written)> = products
        .iter()
        .zip(written.iter().copied())
        .filter(|(_, written)| written.change != Change::Unchanged)
        .collect();
    if !changed.is_empty() {
        write_changes(tx, account, &changed).await.context("writing products")?;
        let events = changed.iter().map(|(product, written)| priced_event(account, product, written.version));
        let events = events.collect::<Result<Vec<_>, _>>().context("products as events")?;
        event_log::record(tx, &events).await.context("recording products' events")?;
    }
    Ok(written)
}

/// The SKUs that did not exist and do now, without their prices yet.
async fn insert_new(
    tx: &mut PgConnection,
    account: Account,
    sorted: &[&Product],
) -> Result<HashSet<String>, sqlx::Error> {
    let created: Vec<String> = sqlx::query_scalar(
        r#"
        insert into product (account_id, livemode, sku, title, active, version)
        select $1, $2, n.sku, n.title, n.active, $6
        from unnest($3::text[], $4::text[], $5::bool[]) with ordinality as n (sku, title, active, position)
        order by n.position
        on conflict on constraint product_key do nothing
        returning sku
        "#,
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(sorted.iter().map(|product| product.sku()).collect::<Vec<_>>())
    .bind(sorted.iter().map(|product| product.title()).collect::<Vec<_>>())
    .bind(sorted.iter().map(|product| product.active()).collect::<Vec<_>>())
    .bind(FIRST_VERSION)
    .fetch_all(tx)
    .await?;
    Ok(created.into_iter().collect())
}

async fn lock_and_load(
    tx: &mut PgConnection,
    account: Account,
    skus: &[&str],
) -> anyhow::Result<HashMap<String, Versioned>> {
    if skus.is_empty() {
        return Ok(HashMap::new());
    }
    sqlx::query(
        "select from product where account_id = $1 and livemode = $2 and sku = any($3) order by sku for update",
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(skus)
    .execute(&mut *tx)
    .await
    .context("locking products")?;
    let current = load_products(tx, account, skus).await?;
    Ok(current.into_iter().map(|now| (now.product.sku().to_owned(), now)).collect())
}

/// Rows and prices of what changed; a price whose currency is no longer among them goes.
async fn write_changes(
    tx: &mut PgConnection,
    account: Account,
    changed: &[(&Product, Written)],
) -> Result<(), sqlx::Error> {
    let prices: Vec<(&str, Money)> =
        changed.iter().flat_map(|(product, _)| product.prices().map(|price| (product.sku(), price))).collect();
    sqlx::query(
        r#"
        with updated as (
            update product p set title = c.title, active = c.active, version = c.version, updated_at = now()
            from unnest($3::text[], $4::text[], $5::bool[], $6::bigint[]) as c (sku, title, active, version)
            where p.account_id = $1 and p.livemode = $2 and p.sku = c.sku and p.version <> c.version
        ), dropped as (
            delete from product_price p
            where p.account_id = $1 and p.livemode = $2 and p.sku = any($3)
              and not exists (
                select from unnest($7::text[], $8::text[]) as w (sku, currency)
                where w.sku = p.sku and w.currency = p.currency)
        )
        insert into product_price (account_id, livemode, sku, currency, amount_minor)
        select $1, $2, w.sku, w.currency, w.amount_minor
        from unnest($7::text[], $8::text[], $9::bigint[]) as w (sku, currency, amount_minor)
        on conflict on constraint product_price_key do update set amount_minor = excluded.amount_minor
        where product_price.amount_minor <> excluded.amount_minor
        "#,
    )
    .bind(account.id)
    .bind(account.livemode)
    .bind(changed.iter().map(|(product, _)| product.sku()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(product, _)| product.title()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(product, _)| product.active()).collect::<Vec<_>>())
    .bind(changed.iter().map(|(_, written)| written.version).collect::<Vec<_>>())
    .bind(prices.iter().map(|(sku, _)| *sku).collect::<Vec<_>>())
    .bind(prices.iter().map(|(_, price)| price.code()).collect::<Vec<_>>())
    .bind(prices.iter().map(|(_, price)| price.minor_units).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

/// What the rest of the world is told when this becomes the product's version.
fn priced_event(account: Account, product: &Product, version: i64) -> Result<NewEvent, serde_json::Error> {
    let told = ProductPriced {
        sku: product.sku().to_owned(),
        title: product.title().to_owned(),
        prices: product.prices().collect(),
        active: product.active(),
    };
    let subject = told.sku.clone();
    Ok(NewEvent { name: PRODUCT_PRICED, account, subject, version, data: serde_json::to_value(told)? })
}

#[cfg(test)]
mod tests;
