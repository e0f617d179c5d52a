//! `cart.lock_cart`: the cart belongs to one checkout from here on, at the prices of this moment.
//!
//! Three round trips for the whole batch: lock the carts' rows, read their lines beside what the catalog says by now,
//! write what was decided. Deciding is [`Cart::lock`]. Of two checkouts that name one cart the first in the batch wins,
//! because the second is decided on the cart as the first left it; across batches the row lock sees to that.

use std::collections::HashMap;

use anyhow::Context;
use makegood_contracts::{cart::LockCart, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::{
    cart::{Cart, Line},
    pricing::Offer,
    store::CartRow,
};

/// A cart of the batch with what the catalog offers for its lines, in their order.
struct Candidate {
    cart: Cart,
    offers: Vec<Option<Offer>>,
}

/// What becomes durable of the batch.
#[derive(Default)]
struct Decisions {
    locks: Vec<(Uuid, Uuid)>,
    repriced: Vec<(Uuid, Line)>,
}

pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<LockCart>]) -> anyhow::Result<Vec<Outcome>> {
    let mut ids: Vec<Uuid> = jobs.iter().map(|job| job.input.cart_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = lock_rows(tx, &ids).await.context("locking the carts' rows")?;
    let mut candidates = load_candidates(tx, rows).await?;
    let mut decisions = Decisions::default();
    let outcomes =
        jobs.iter().map(|job| decide(job, &mut candidates, &mut decisions)).collect::<anyhow::Result<Vec<_>>>()?;
    write(tx, &decisions).await.context("writing the locks of carts")?;
    Ok(outcomes)
}

fn decide(
    job: &Job<LockCart>,
    candidates: &mut HashMap<Uuid, Candidate>,
    decisions: &mut Decisions,
) -> anyhow::Result<Outcome> {
    let LockCart { account, cart_id, expected_total } = job.input;
    let Some(candidate) = candidates.get_mut(&cart_id).filter(|candidate| candidate.cart.account == account) else {
        return Ok(Outcome::refused("cart_not_found", "the cart does not exist, or no longer"));
    };
    let Candidate { cart, offers } = candidate;
    let (version, lines) = (cart.version, cart.lines.clone());
    let priced = match cart.lock(job.key.saga_id, expected_total, offers) {
        Ok(priced) => priced,
        Err(refusal) => return Ok(Outcome::refused(refusal.code(), refusal.to_string())),
    };
    if cart.version != version {
        decisions.locks.push((cart_id, job.key.saga_id));
        let changed = cart.lines.iter().zip(&lines).filter(|(now, before)| now != before);
        decisions.repriced.extend(changed.map(|(now, _)| (cart_id, now.clone())));
    }
    let output = serde_json::to_value(priced).with_context(|| format!("output for cart {cart_id}"))?;
    Ok(Outcome::Done { output })
}

/// In the order of ids, as every handler locks them.
async fn lock_rows(tx: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<CartRow>, sqlx::Error> {
    sqlx::query_as(
        r#"
        select id, account_id, livemode, currency, state, locked_by, version, created_at
        from cart where id = any($1) order by id for update
        "#,
    )
    .bind(ids)
    .fetch_all(tx)
    .await
}

/// A line beside its product's offer in the cart's currency.
#[derive(FromRow)]
struct OfferedLine {
    cart_id: Uuid,
    line: String,
    sku: String,
    title: String,
    quantity: i64,
    unit_price_minor: i64,
    own_price: bool,
    offer_title: Option<String>,
    offer_active: Option<bool>,
    offer_price_minor: Option<i64>,
}

impl OfferedLine {
    fn split(self) -> (Line, Option<Offer>) {
        let offer = self.offer_title.zip(self.offer_active);
        let offer = offer.map(|(title, active)| Offer { title, active, price_minor: self.offer_price_minor });
        let line = Line {
            name: self.line,
            sku: self.sku,
            title: self.title,
            quantity: self.quantity,
            unit_price_minor: self.unit_price_minor,
            own_price: self.own_price,
        };
        (line, offer)
    }
}

async fn load_candidates(tx: &mut PgConnection, rows: Vec<CartRow>) -> anyhow::Result<HashMap<Uuid, Candidate>> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let offered: Vec<OfferedLine> = sqlx::query_as(
        r#"
        select l.cart_id, l.line, l.sku, l.title, l.quantity, l.unit_price_minor, l.own_price,
               p.title as offer_title, p.active as offer_active, (p.prices ->> c.currency)::bigint as offer_price_minor
        from cart c
        join cart_line l on l.cart_id = c.id
        left join price p on p.account_id = c.account_id and p.livemode = c.livemode and p.sku = l.sku
        where c.id = any($1)
        order by l.cart_id, l.line
        "#,
    )
    .bind(&ids)
    .fetch_all(tx)
    .await
    .context("reading the carts' lines")?;

    let mut lines_by_cart: HashMap<Uuid, (Vec<Line>, Vec<Option<Offer>>)> = HashMap::with_capacity(rows.len());
    for offered_line in offered {
        let (lines, offers) = lines_by_cart.entry(offered_line.cart_id).or_default();
        let (line, offer) = offered_line.split();
        lines.push(line);
        offers.push(offer);
    }
    let candidate = |row: CartRow| {
        let (id, (lines, offers)) = (row.id, lines_by_cart.remove(&row.id).unwrap_or_default());
        Ok((id, Candidate { cart: row.with_lines(lines)?, offers }))
    };
    rows.into_iter().map(candidate).collect()
}

async fn write(tx: &mut PgConnection, decisions: &Decisions) -> Result<(), sqlx::Error> {
    let Decisions { locks, repriced } = decisions;
    if locks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r#"
        with locked as (
            update cart set state = 'locked', locked_by = d.saga_id, version = version + 1, updated_at = now()
            from unnest($1::uuid[], $2::uuid[]) as d (cart_id, saga_id)
            where cart.id = d.cart_id
        )
        update cart_line set unit_price_minor = r.unit_price_minor, title = r.title
        from unnest($3::uuid[], $4::text[], $5::bigint[], $6::text[]) as r (cart_id, line, unit_price_minor, title)
        where cart_line.cart_id = r.cart_id and cart_line.line = r.line
        "#,
    )
    .bind(locks.iter().map(|(cart_id, _)| *cart_id).collect::<Vec<_>>())
    .bind(locks.iter().map(|(_, saga_id)| *saga_id).collect::<Vec<_>>())
    .bind(repriced.iter().map(|(cart_id, _)| *cart_id).collect::<Vec<_>>())
    .bind(repriced.iter().map(|(_, line)| line.name.as_str()).collect::<Vec<_>>())
    .bind(repriced.iter().map(|(_, line)| line.unit_price_minor).collect::<Vec<_>>())
    .bind(repriced.iter().map(|(_, line)| line.title.as_str()).collect::<Vec<_>>())
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
