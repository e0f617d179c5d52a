//! `open_checkout`: the cart is priced and its stock is held, so the checkout is open and the order exists.
//!
//! This is the moment in which the answer to the call that opened it becomes known: it is stored under the call's
//! key in this very transaction.

use std::collections::{HashMap, HashSet};

use anyhow::Context as _;
use makegood_chassis::idempotency::{self, Answer, Claim};
use makegood_contracts::{
    order::{ORDER_OPENED, OpenCheckout},
    reply::Outcome,
};
use makegood_messaging::{event_log, participant::Job};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    checkout_answer,
    checkout_row::{self, CheckoutRow, checkout_columns},
    order_state::{OrderState, order_state_columns},
};

/// Opens what was accepted. A job that finds its checkout further on comes late and changes nothing.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<OpenCheckout>]) -> anyhow::Result<Vec<Outcome>> {
    let opened = open(tx, jobs).await.context("opening checkouts")?;
    let orders = write_orders(tx, jobs, &opened).await.context("writing orders")?;
    let events = orders.iter().map(|order| order.changed(ORDER_OPENED, None)).collect::<anyhow::Result<Vec<_>>>()?;
    event_log::record(tx, &events).await.context("recording opened orders")?;
    store_answers(tx, &opened).await.context("storing the answers of opened checkouts")?;

    let opened: HashSet<Uuid> = opened.iter().map(|row| row.id).collect();
    outcomes(tx, jobs, &opened).await
}

/// A signal that came before the opening is still unacknowledged, and so is a cancellation: their timers stay.
async fn open(tx: &mut PgConnection, jobs: &[Job<OpenCheckout>]) -> Result<Vec<CheckoutRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "
        with opening as (
            select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[])
                     as opening (id, total_minor, currency, hold_expires_at)
        ), locked as materialized (
            select checkout.id from checkout join opening using (id)
            where checkout.status = 'accepted' order by checkout.id for update of checkout
        )
        update checkout
        set status = case when checkout.confirmation is null then 'open' else 'processing' end,
            opened_at = now(), opened_total_minor = opening.total_minor, currency = opening.currency,
            hold_expires_at = opening.hold_expires_at,
            resend_at = case when checkout.cancel_requested then checkout.resend_at end,
            version = checkout.version + 1
        from locked join opening using (id)
        where checkout.id = locked.id and checkout.status = 'accepted'
        returning ",
        checkout_columns!()
    ))
    .bind(jobs.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.input.total.minor_units).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.input.total.code()).collect::<Vec<_>>())
    .bind(jobs.iter().map(|job| job.input.hold_expires_at).collect::<Vec<_>>())
    .fetch_all(tx)
    .await
}

async fn write_orders(
    tx: &mut PgConnection,
    jobs: &[Job<OpenCheckout>],
    opened: &[CheckoutRow],
) -> anyhow::Result<Vec<OrderState>> {
    let lines_of: HashMap<Uuid, _> = jobs.iter().map(|job| (job.key.saga_id, &job.input.lines)).collect();
    let (checkouts, lines): (Vec<Uuid>, Vec<Json<_>>) =
        opened.iter().filter_map(|row| Some((row.id, Json(*lines_of.get(&row.id)?)))).unzip();
    if checkouts.is_empty() {
        return Ok(Vec::new());
    }
    let written = sqlx::query_as(concat!(
        "
        insert into orders (id, checkout_id, account_id, livemode, email, total_minor, currency, lines, reference)
        select order_id, id, account_id, livemode, email, opened_total_minor, currency, opened.lines, reference
        from checkout join unnest($1::uuid[], $2::jsonb[]) as opened (id, lines) using (id)
        returning ",
        order_state_columns!()
    ))
    .bind(checkouts)
    .bind(lines)
    .fetch_all(tx)
    .await?;
    Ok(written)
}

/// Stores what the callers of these checkouts' keys are answered from now on.
pub(super) async fn store_answers(tx: &mut PgConnection, rows: &[CheckoutRow]) -> anyhow::Result<()> {
    let answers: Vec<(Claim, Answer)> = rows
        .iter()
        .filter_map(|row| {
            let claim = Claim {
                account: row.account(),
                key_hash: row.token_hash.clone(),
                fingerprint: row.fingerprint.clone(),
            };
            checkout_answer::opening(row).transpose().map(|answer| answer.map(|answer| (claim, answer)))
        })
        .collect::<anyhow::Result<_>>()?;
    if answers.is_empty() {
        return Ok(());
    }
    let answers: Vec<(&Claim, &Answer)> = answers.iter().map(|(claim, answer)| (claim, answer)).collect();
    idempotency::store(tx, &answers).await?;
    Ok(())
}

/// Done for what is open now or was before; the rest is looked at, which is rare.
async fn outcomes(
    tx: &mut PgConnection,
    jobs: &[Job<OpenCheckout>],
    opened: &HashSet<Uuid>,
) -> anyhow::Result<Vec<Outcome>> {
    let late: Vec<Uuid> = jobs.iter().map(|job| job.key.saga_id).filter(|id| !opened.contains(id)).collect();
    let found = checkout_row::statuses(tx, &late).await?;
    let outcome = |id: &Uuid| match found.get(id) {
        _ if opened.contains(id) => Outcome::done(),
        Some(status) if status.is_final() => {
            Outcome::refused("checkout_final", format!("The checkout is {}.", status.as_str()))
        }
        Some(_) => Outcome::done(),
        None => Outcome::defect(format!("There is no checkout {id}.")),
    };
    Ok(jobs.iter().map(|job| outcome(&job.key.saga_id)).collect())
}
