//! The catalog's prices as this service keeps them: the newest `product.priced` of each product, whatever order they come in.

use std::collections::BTreeMap;

use anyhow::Context;
use makegood_contracts::{account::Account, catalog::ProductPriced, event::Event};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

/// Applies a batch in one statement. Idempotent: an event that is not newer than what is known changes nothing.
pub(crate) async fn apply(tx: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
    let newest = newest_of_each(events);
    let mut products = Vec::with_capacity(newest.len());
    for event in newest.values() {
        let product: ProductPriced =
            serde_json::from_value(event.data.clone()).with_context(|| format!("data of event {}", event.id))?;
        products.push((*event, product));
    }
    sqlx::query(
        r#"
        insert into price (account_id, livemode, sku, title, active, prices, version)
        select * from unnest($1::uuid[], $2::bool[], $3::text[], $4::text[], $5::bool[], $6::jsonb[], $7::bigint[])
        on conflict on constraint price_key do update
        set title = excluded.title, active = excluded.active, prices = excluded.prices, version = excluded.version
        where excluded.version > price.version
        "#,
    )
    .bind(products.iter().map(|(event, _)| event.account.id).collect::<Vec<Uuid>>())
    .bind(products.iter().map(|(event, _)| event.account.livemode).collect::<Vec<bool>>())
    .bind(products.iter().map(|(event, _)| event.subject.as_str()).collect::<Vec<_>>())
    .bind(products.iter().map(|(_, product)| product.title.as_str()).collect::<Vec<_>>())
    .bind(products.iter().map(|(_, product)| product.active).collect::<Vec<_>>())
    .bind(products.iter().map(|(_, product)| minor_units_by_currency(product)).collect::<Vec<Value>>())
    .bind(products.iter().map(|(event, _)| event.version).collect::<Vec<i64>>())
    .execute(tx)
    .await
    .context("keeping prices")?;
    Ok(())
}

/// One event per product, because one statement may not touch a row twice; in key order, as all writers lock rows.
fn newest_of_each(events: &[Event]) -> BTreeMap<(Account, &str), &Event> {
    let mut newest: BTreeMap<(Account, &str), &Event> = BTreeMap::new();
    for event in events {
        let known = newest.entry((event.account, event.subject.as_str())).or_insert(event);
        if event.version > known.version {
            *known = event;
        }
    }
    newest
}

fn minor_units_by_currency(product: &ProductPriced) -> Value {
    product.prices.iter().map(|price| (price.code().to_owned(), Value::from(price.minor_units))).collect()
}

#[cfg(test)]
mod tests;
