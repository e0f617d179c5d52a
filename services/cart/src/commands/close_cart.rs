//! `cart.close_cart`, after the pivot: the cart has become an order and is never edited again.

use std::collections::HashSet;

use anyhow::Context;
use makegood_contracts::{cart::LockedCart, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

/// Closing again is done. A cart that this checkout does not hold is a defect and not a refusal: behind the pivot
/// nothing may be undone any more, so a person has to look. One round trip.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<LockedCart>]) -> anyhow::Result<Vec<Outcome>> {
    let held: Vec<(Uuid, Uuid)> = sqlx::query_as(
        r#"
        with mine as (
            select c.id, c.locked_by from unnest($1::uuid[], $2::uuid[]) as j (cart_id, saga_id)
            join cart c on c.id = j.cart_id and c.locked_by = j.saga_id
            order by c.id for update of c
        ), closed as (
            update cart set state = 'closed', version = version + 1, updated_at = now()
            from mine where cart.id = mine.id and cart.state = 'locked'
        )
        select id, locked_by from mine
        "#,
    )
    .bind(jobs.iter().map(|job| job.input.cart_id).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
    .context("closing carts")?;
    let held: HashSet<(Uuid, Uuid)> = held.into_iter().collect();
    let outcome = |job: &Job<LockedCart>| match held.contains(&(job.input.cart_id, job.key.saga_id)) {
        true => Outcome::done(),
        false => Outcome::defect(format!("cart {} is not held by checkout {}", job.input.cart_id, job.key.saga_id)),
    };
    Ok(jobs.iter().map(outcome).collect())
}
