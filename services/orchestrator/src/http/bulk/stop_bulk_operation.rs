//! `POST /v1/admin/bulk_operations/{id}/stop`: what was done stays done, the rest is left as it is.

use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::Scope,
    extract::Path,
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
    problem::Problem,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::BulkOperation;
use crate::http::Admin;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopBulkOperation {
    /// Why, 1 to 1,000 characters.
    reason: Option<String>,
}

/// Stops a bulk operation after the batch that is under way. One that is stopped stays as it is.
#[utoipa::path(post, path = "/v1/admin/bulk_operations/{id}/stop", tag = "sagas", request_body = StopBulkOperation,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = BulkOperation), (status = 404), (status = 409)))]
pub(crate) async fn stop_bulk_operation(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    post: Post<StopBulkOperation>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let Post { caller, claim, body } = post;
    let id = super::parse(&id)?;
    let reason = body.reason.as_deref().map(checked_reason).transpose()?;
    idempotency::once(&admin.http.db, claim.as_ref(), move |tx| {
        Box::pin(async move {
            sqlx::query(
                r"update bulk_operation set state = 'stopped', ended_at = now(), stopped_by = $4, stop_reason = $5
                  where id = $1 and account_id = $2 and livemode = $3 and state = 'running'",
            )
            .bind(id)
            .bind(caller.account.id)
            .bind(caller.account.livemode)
            .bind(&caller.actor)
            .bind(&reason)
            .execute(&mut *tx)
            .await?;
            let stopped = super::find(&mut *tx, caller.account, id).await?;
            if stopped.state == "done" {
                let detail = "Every saga of it has been worked: there is nothing left to stop.";
                return Err(Problem::conflict("bulk-operation-done", "The bulk operation is done", detail));
            }
            Ok(Answer::json(http::StatusCode::OK, &stopped)?)
        })
    })
    .await
}
