//! `GET /v1/admin/holds/{id}`: what a checkout has laid its hand on.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};

use super::hold_json::{self, HoldJson};

/// Shows the hold of a checkout.
#[utoipa::path(
    operation_id = "read_hold", get, path = "/v1/admin/holds/{id}", tag = "inventory",
    params(("id" = String, Path, description = "The checkout's id, or its saga's")),
    responses((status = 200, body = HoldJson), (status = 404, description = "The checkout holds and held nothing"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<HoldJson>, Problem> {
    caller.require(Scope::Server)?;
    hold_json::find(&http.db, caller.account, hold_json::parse(&id)?).await.map(Json)
}
