//! `begin_return`: the return's saga runs, so it need not be started again. A return that was called off in the meantime goes no
//! further.

use anyhow::Context as _;
use makegood_contracts::{
    order_return::{BeginReturn, BegunReturn},
    reply::Outcome,
};
use makegood_messaging::participant::Job;
use sqlx::PgConnection;
use uuid::Uuid;

use super::accept_return::refused;
use crate::{
    order_return::Status,
    return_row::{self, ReturnRow},
};

pub(super) async fn handle(tx: &mut PgConnection, jobs: &[Job<BeginReturn>]) -> anyhow::Result<Vec<Outcome>> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.input.return_id).collect();
    let found = return_row::lock_all(tx, &ids).await?;
    begin(tx, &ids).await.context("beginning returns")?;
    ids.iter().map(|id| outcome(*id, found.get(id))).collect()
}

/// What came already, or was called off, is still to be told.
async fn begin(tx: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        r#"
        update order_return
        set begun = true, resend_at = case when status = 'open' then null else resend_at end
        where id = any($1) and not begun
        "#,
    )
    .bind(ids)
    .execute(tx)
    .await?;
    Ok(())
}

fn outcome(id: Uuid, row: Option<&ReturnRow>) -> anyhow::Result<Outcome> {
    let Some(row) = row else { return Ok(Outcome::defect(format!("There is no return {id}."))) };
    match row.status {
        Status::Open | Status::Received | Status::Completed => {
            let begun = BegunReturn { receive_by: row.receive_by };
            Ok(Outcome::Done { output: serde_json::to_value(begun)? })
        }
        Status::Cancelled | Status::Expired | Status::Refused => Ok(refused(row)),
    }
}
