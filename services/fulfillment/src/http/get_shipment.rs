//! `GET /v1/admin/shipments/{id}`: one shipment.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::id::ShipmentId;

use super::shipment_view::{self, Shipment, Which};

/// Reads a shipment.
#[utoipa::path(
    operation_id = "get_shipment", get, path = "/v1/admin/shipments/{id}", tag = "fulfillment", params(("id" = String, Path)),
    responses((status = 200, body = Shipment), (status = 404, description = "No such shipment in this shop"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Path(id): Path<ShipmentId>,
) -> Result<axum::Json<Shipment>, Problem> {
    caller.require(Scope::Server)?;
    let found = shipment_view::find(&http.db, caller.account, Which::One(id)).await?.pop();
    found.map(axum::Json).ok_or_else(|| Problem::not_found("shipment", id))
}
