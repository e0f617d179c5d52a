//! What the catalog tells, as tests tell it.

use makegood_contracts::{
    catalog::{PRODUCT_PRICED, ProductPriced},
    event::Event,
    money::Money,
};
use makegood_testing::SHOP;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::price_projection;

/// The event that a product of the test shop costs this much by now.
pub(crate) fn priced(sku: &str, version: i64, price: Money, active: bool) -> Event {
    let product = ProductPriced { sku: sku.into(), title: format!("{sku} v{version}"), prices: vec![price], active };
    Event {
        id: Uuid::now_v7(),
        name: PRODUCT_PRICED.into(),
        account: SHOP,
        subject: sku.into(),
        version,
        occurred_at: OffsetDateTime::UNIX_EPOCH,
        data: serde_json::to_value(product).expect("serializes"),
    }
}

/// Applies events as the projection would.
pub(crate) async fn apply(db: &PgPool, events: &[Event]) {
    let mut tx = db.begin().await.expect("begins");
    price_projection::apply(&mut tx, events).await.expect("applies");
    tx.commit().await.expect("commits");
}
