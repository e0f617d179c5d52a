//! `GET /v1/admin/invariants`: every promise, asked of the books now.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    http::HttpContext,
    problem::Problem,
};

use crate::{report::Report, shared_audit::SharedAudit};

/// Checks every promise now.
#[utoipa::path(
    operation_id = "get_invariants", get, path = "/v1/admin/invariants", tag = "admin",
    responses((status = 200, body = Report, description = "`ok` says whether all hold; an audit that runs already is shared"))
)]
pub(crate) async fn handle(
    State(context): State<HttpContext>,
    State(audit): State<SharedAudit>,
    caller: Caller,
) -> Result<Json<Report>, Problem> {
    caller.require(Scope::Admin)?;
    Ok(Json(audit.run(&context.shutdown).await?))
}
