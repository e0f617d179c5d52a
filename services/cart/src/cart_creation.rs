//! Making carts, many at once: two round trips and one commit for all that came while the last batch ran.
//!
//! Prices are read, the rules decide ([`Cart::open`]), and one statement inserts the carts that were not refused. A price
//! that changes in between is no harm: a checkout prices the cart again.

use std::{sync::Arc, time::Duration};

use makegood_chassis::batcher::{Batcher, Batching};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    cart::{Cart, Line, NewCart, OpenRefusal},
    store::{OfferQuery, load_offers},
};

const BATCHING: Batching = Batching {
    // Past some dozens the statement's own work outweighs what sharing a commit saves.
    max_batch: 64,
    // At a thousand carts a second more than that would wait for over a second.
    max_queue: 1_024,
    // One batch is read and decided while another commits.
    lanes: 2,
    company: Duration::ZERO,
};

/// A batch that the database did not take: each of its callers gets the same error.
#[derive(Debug, Clone)]
pub(crate) struct BatchFailed(Arc<sqlx::Error>);

impl std::fmt::Display for BatchFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("making a batch of carts")
    }
}

impl std::error::Error for BatchFailed {
    /// The error inside the `Arc`, so that whoever walks the chain finds sqlx's own type.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}

/// What became of one cart: it is made, it is refused, or the database failed.
pub(crate) type Made = Result<Result<Cart, OpenRefusal>, BatchFailed>;

/// Starts the batching task on the current runtime.
pub(crate) fn spawn_batcher(db: PgPool) -> Batcher<NewCart, Made> {
    Batcher::spawn(BATCHING, move |carts: Vec<NewCart>| make_batch(db.clone(), carts))
}

async fn make_batch(db: PgPool, carts: Vec<NewCart>) -> Vec<Made> {
    let count = carts.len();
    let made = async { make_carts(&mut *db.acquire().await?, carts).await };
    match made.await {
        Ok(made) => made.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(BatchFailed(Arc::new(error))); count],
    }
}

/// Makes the carts that are not refused; one result per cart, in order.
pub(crate) async fn make_carts(
    db: &mut PgConnection,
    carts: Vec<NewCart>,
) -> Result<Vec<Result<Cart, OpenRefusal>>, sqlx::Error> {
    let queries: Vec<OfferQuery<'_>> = carts.iter().flat_map(OfferQuery::of).collect();
    let mut offers = load_offers(&mut *db, &queries).await?.into_iter();
    let mut open = |cart: NewCart| {
        let of_this_cart: Vec<_> = offers.by_ref().take(cart.lines.len()).collect();
        Cart::open(cart, &of_this_cart)
    };
    let decided: Vec<Result<Cart, OpenRefusal>> = carts.into_iter().map(&mut open).collect();
    let accepted: Vec<&Cart> = decided.iter().filter_map(|cart| cart.as_ref().ok()).collect();
    insert_carts(db, &accepted).await?;
    Ok(decided)
}

/// One statement for all carts and lines, so it needs no BEGIN and COMMIT of its own.
async fn insert_carts(db: &mut PgConnection, carts: &[&Cart]) -> Result<(), sqlx::Error> {
    if carts.is_empty() {
        return Ok(());
    }
    let lines: Vec<(Uuid, &Line)> =
        carts.iter().flat_map(|cart| cart.lines.iter().map(|line| (cart.id, line))).collect();
    sqlx::query(
        r#"
        with made as (
            insert into cart (id, account_id, livemode, currency, created_at, version, state)
            select *, 'open' from unnest($1::uuid[], $2::uuid[], $3::bool[], $4::text[], $5::timestamptz[], $6::bigint[])
        )
        insert into cart_line (cart_id, line, sku, title, quantity, unit_price_minor, own_price)
        select * from unnest($7::uuid[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bool[])
        "#,
    )
    .bind(carts.iter().map(|cart| cart.id).collect::<Vec<_>>())
    .bind(carts.iter().map(|cart| cart.account.id).collect::<Vec<_>>())
    .bind(carts.iter().map(|cart| cart.account.livemode).collect::<Vec<_>>())
    .bind(carts.iter().map(|cart| cart.currency.code()).collect::<Vec<_>>())
    .bind(carts.iter().map(|cart| cart.created_at).collect::<Vec<_>>())
    .bind(carts.iter().map(|cart| cart.version).collect::<Vec<_>>())
    .bind(lines.iter().map(|(cart_id, _)| *cart_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.name.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.sku.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.title.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.quantity).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.unit_price_minor).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.own_price).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
