//! `require_action`: the payment waits for the buyer, who is told where to go. A checkout that an operator confirmed, by handing the
//! saga its signal, is still open here.
//!
//! The saga tells it while its step is pending and does not depend on it, so every job is answered as done:
//! one that comes late, after the decision, changes nothing.

use anyhow::Context as _;
use makegood_contracts::{
    order::{REQUIRES_ACTION, RequireAction},
    reply::Outcome,
};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;

pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<RequireAction>]) -> anyhow::Result<Vec<Outcome>> {
    // Other reasons (a provider whose answer is unknown) ask nothing of the buyer.
    let asking: Vec<&Job<RequireAction>> = jobs.iter().filter(|job| job.input.reason == REQUIRES_ACTION).collect();
    sqlx::query(
        r#"
        with asking as (
            select * from unnest($1::uuid[], $2::jsonb[]) as asking (id, next_action)
        ), locked as materialized (
            select checkout.id from checkout join asking using (id)
            where checkout.status in ('open', 'processing') order by checkout.id for update of checkout
        )
        update checkout
        set status = 'requires_action', next_action = asking.next_action, version = checkout.version + 1,
            -- The saga has come past the confirmation, so it knows of it.
            resend_at = case when checkout.cancel_requested then checkout.resend_at end
        from locked join asking using (id)
        where checkout.id = locked.id and checkout.status in ('open', 'processing')
        "#,
    )
    .bind(asking.iter().map(|job| job.key.saga_id).collect::<Vec<_>>())
    .bind(asking.iter().map(|job| job.input.detail.clone()).collect::<Vec<_>>())
    .execute(tx)
    .await
    .context("telling checkouts what they require")?;
    Ok(jobs.iter().map(|_| Outcome::done()).collect())
}
