//! `accept_return`: the pivot of a return. What came is what its row says, and nothing else: the row's lock decides between the
//! goods, the deadline and whoever calls it off, so that none of them has been promised something that another undoes.

use anyhow::Context as _;
use makegood_contracts::{
    order_return::{AcceptReturn, AcceptedReturn},
    reply::Outcome,
};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    order_return::{RETURN_CANCELLED, RETURN_EXPIRED, Status, restock},
    return_row::{self, ReturnRow},
};

/// The saga comes here when the goods have come or their time is over: a return that is still open has expired.
pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<AcceptReturn>]) -> anyhow::Result<Vec<Outcome>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.input.return_id).collect();
    let found = return_row::lock_all(tx, &ids).await?;
    decide(tx, &ids).await.context("deciding returns")?;
    ids.iter().map(|id| outcome(*id, found.get(id))).collect()
}

/// A return that is received has told its saga all there is to tell. One that was called off is told until its end.
async fn decide(tx: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        update order_return
        set status = case status when 'open' then 'expired' else status end,
            failure_code = case status when 'open' then $2 else failure_code end,
            decided_at = case status when 'open' then now() else decided_at end,
            begun = true, resend_at = null
        where id = any($1) and status in ('open', 'received')
        "#,
    )
    .bind(ids)
    .bind(RETURN_EXPIRED)
    .execute(tx)
    .await?;
    Ok(())
}

fn outcome(id: Uuid, row: Option<&ReturnRow>) -> anyhow::Result<Outcome> {
    let Some(row) = row else { return Ok(Outcome::defect(format!("There is no return {id}."))) };
    match row.status {
        Status::Received | Status::Completed => Ok(Outcome::Done { output: serde_json::to_value(accepted(row)?)? }),
        Status::Open => Ok(Outcome::refused(RETURN_EXPIRED, EXPIRED)),
        Status::Cancelled | Status::Expired | Status::Refused => Ok(refused(row)),
    }
}

const EXPIRED: &str = "The goods did not come in time.";

/// A return that came to nothing says why.
pub(super) fn refused(row: &ReturnRow) -> Outcome {
    match row.failure_code.as_deref() {
        Some(RETURN_EXPIRED) => Outcome::refused(RETURN_EXPIRED, EXPIRED),
        Some(RETURN_CANCELLED) => Outcome::refused(RETURN_CANCELLED, "The return was called off."),
        code => Outcome::refused(code.unwrap_or("return_refused"), "The return came to nothing."),
    }
}

fn accepted(row: &ReturnRow) -> anyhow::Result<AcceptedReturn> {
    let restock = restock(&row.lines);
    Ok(AcceptedReturn {
        refund: row.money(row.refund_minor)?,
        nothing_to_refund: row.refund_minor == 0,
        nothing_to_restock: restock.is_empty(),
        restock,
    })
}
