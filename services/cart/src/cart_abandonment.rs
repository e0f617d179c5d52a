//! Carts that nobody came back to: deleted once they were left alone for the configured time.
//!
//! Only open carts: a locked cart belongs to a checkout, a closed one to an order.

use std::time::Duration;

use makegood_messaging::worker::Worker;
use sqlx::PgPool;

/// Carts per round: short transactions, so that edits of the same carts never wait noticeably.
const ROUND_CARTS: i64 = 500;
/// A month's patience does not need a finer clock than this.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// Deletes until shutdown. A round that fails is logged and tried again at the next one.
pub(crate) async fn run(worker: Worker, time_to_live: Duration) -> anyhow::Result<()> {
    loop {
        let pause = match delete_abandoned(&worker.db, time_to_live).await {
            Ok(deleted) if deleted >= ROUND_CARTS.unsigned_abs() => Duration::ZERO,
            Ok(_) => PAUSE,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "abandoned carts could not be deleted; trying again later"
                );
                PAUSE
            }
        };
        tokio::select! {
            () = worker.shutdown.token.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One round: how many carts it deleted. Ids begin with the time they were made, so the index on open carts finds
/// the candidates; `updated_at` decides. A cart that is being edited at this moment is skipped.
async fn delete_abandoned(db: &PgPool, time_to_live: Duration) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        r#"
        with abandoned as (
            select id from cart
            where state = 'open' and id < uuidv7_floor(now() - make_interval(secs => $1))
              and updated_at < now() - make_interval(secs => $1)
            order by id limit $2 for update skip locked
        ), lines as (
            delete from cart_line using abandoned where cart_line.cart_id = abandoned.id
        )
        delete from cart using abandoned where cart.id = abandoned.id
        "#,
    )
    .bind(time_to_live.as_secs_f64())
    .bind(ROUND_CARTS)
    .execute(db)
    .await?;
    Ok(deleted.rows_affected())
}

#[cfg(test)]
mod tests;
