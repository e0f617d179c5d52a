//! `cart.unlock_cart`, the undo of `lock_cart`: the cart is open again, if it is this checkout that locked it.

use anyhow::Context;
use makegood_contracts::{cart::LockedCart, reply::Outcome};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

/// Done in any case: what this checkout has not locked (refused, unlocked already) it need not unlock. One round trip.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<LockedCart>]) -> anyhow::Result<Vec<Outcome>> {
    sqlx::query(
        r#"
        with mine as (
            select c.id from unnest($1::uuid[], $2::uuid[]) as j (cart_id, saga_id)
            join cart c on c.id = j.cart_id and c.locked_by = j.saga_id and c.state = 'locked'
            order by c.id for update of c
        )
        update cart set state = 'open', locked_by = null, version = version + 1, updated_at = now()
        from mine where cart.id = mine.id
        "#,
    )
    .bind(jobs.iter().map(|job| job.input.cart_id).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
    .execute(tx)
    .await
    .context("unlocking carts")?;
    Ok(vec![Outcome::done(); jobs.len()])
}
