//! The checkout as its own outbox: what its saga has not been seen to know is told again. So are cancellations of orders, and
//! returns.
//!
//! A row is due five seconds after it was written and then less and less often. Its timer is cleared by the commands
//! that show that the saga knows: opening shows the start, a required action or the end shows the confirmation,
//! the end shows the cancellation.

use std::time::Duration;

use anyhow::Context as _;
use makegood_messaging::worker::Worker;
use sqlx::PgPool;
use tokio::time::Instant;

use crate::{
    order_cancellation, return_resending,
    saga_message::{self, RequestedCheckout, SagaMessages},
};

/// Rows in one round: a few messages' worth.
const MAX_ROUND: i64 = 512;
/// Between rounds when nothing is left over. The first resending comes after five seconds, so a second is precise enough.
const PAUSE: Duration = Duration::from_secs(1);
/// What was taken waits for the bus for so long, as its timers are set already: the longest of them is over by then, and it is due again.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// A checkout whose saga is to be told again.
#[derive(Debug, sqlx::FromRow)]
struct Due {
    #[sqlx(flatten)]
    requested: RequestedCheckout,
    is_opened: bool,
    cancel_requested: bool,
}

/// Takes what is due, sets its next timer, and says what is to be published. The timer is set first: if publishing
/// fails, or the process dies, the row is simply due again.
pub(crate) async fn take_due(db: &PgPool) -> anyhow::Result<SagaMessages> {
    let due = sqlx::query(
        r#"
        with due as (
            select id from checkout where resend_at <= now() order by resend_at limit $1 for update skip locked
        )
        update checkout
        set resend_count = resend_count + 1,
            resend_at = now() + least(interval '5 s' * (2 ^ least(resend_count + 1, 10)), interval '60 s')
        from due
        where checkout.id = due.id
        returning checkout.id, order_id, account_id, livemode, cart_id, email, shipping_address, shipping_method, expected_total,
                  reference, confirmed_in_call, confirmation, traceparent, opened_at is not null as is_opened, cancel_requested
        "#,
    )
    .bind(MAX_ROUND)
    .fetch_all(db)
    .await
    .context("taking checkouts whose saga is to be told again")?;
    Ok(saga_message::of_rows(&due, messages))
}

fn messages(Due { requested, is_opened, cancel_requested }: &Due) -> anyhow::Result<SagaMessages> {
    let mut messages = SagaMessages::default();
    if !is_opened {
        messages.starts.push(saga_message::start(requested)?);
    }
    if let (false, Some(confirmation)) = (requested.confirmed_in_call, &requested.confirmation) {
        messages.signals.push(saga_message::confirmation(requested.id, confirmation)?);
    }
    if *cancel_requested {
        messages.cancels.push(saga_message::cancellation(requested.id));
    }
    Ok(messages)
}

/// One round; true when there may be more to do at once.
async fn resend_due(worker: &Worker) -> bool {
    let mut messages = SagaMessages::default();
    let db = &worker.db;
    for taken in [take_due(db).await, order_cancellation::take_due(db).await, return_resending::take_due(db).await] {
        match taken {
            Ok(taken) => messages.append(taken),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "sagas are told again in the next round"),
        }
    }
    let count = messages.starts.len().max(messages.signals.len()).max(messages.cancels.len());
    if count > 0 {
        tracing::info!(
            starts = messages.starts.len(),
            signals = messages.signals.len(),
            cancels = messages.cancels.len(),
            "telling sagas again"
        );
        publish(worker, &messages).await;
    }
    i64::try_from(count).is_ok_and(|count| count >= MAX_ROUND)
}

/// What could not be told is told once more when the bus answers again. A message that is lost costs its saga as long as it has been waiting
/// already, and a bus that comes back should cost it nothing.
async fn publish(worker: &Worker, messages: &SagaMessages) {
    let Err(error) = saga_message::publish(&worker.bus, messages).await else { return };
    tracing::warn!(error = format!("{error:#}"), "sagas cannot be told again now");
    let began = Instant::now();
    while !worker.bus_answers().await {
        if began.elapsed() >= TOLD_WITHIN || !worker.shutdown.pause(PAUSE).await {
            return;
        }
    }
    if let Err(error) = saga_message::publish(&worker.bus, messages).await {
        tracing::warn!(error = format!("{error:#}"), "sagas are told again when they are due again");
    }
}

/// Rounds until shutdown.
pub(crate) async fn run(worker: Worker) -> anyhow::Result<()> {
    loop {
        let pause = if resend_due(&worker).await { Duration::ZERO } else { PAUSE };
        if !worker.shutdown.pause(pause).await {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
