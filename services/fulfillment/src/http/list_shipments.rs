//! `GET /v1/admin/shipments?order_id=`: the shipments of an order.

use axum::extract::State;
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::id::OrderId;
use serde::{Deserialize, Serialize};

use super::shipment_view::{self, Shipment, Which};

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListShipments {
    #[param(value_type = String, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    order_id: OrderId,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Shipments {
    /// One per warehouse, so there are never many; none for an order that this shop does not have.
    data: Vec<Shipment>,
}

/// Lists the shipments of an order.
#[utoipa::path(
    operation_id = "list_shipments", get, path = "/v1/admin/shipments", tag = "fulfillment", params(ListShipments),
    responses((status = 200, body = Shipments))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Query(query): Query<ListShipments>,
) -> Result<axum::Json<Shipments>, Problem> {
    caller.require(Scope::Server)?;
    let data = shipment_view::find(&http.db, caller.account, Which::OfOrder(query.order_id)).await?;
    Ok(axum::Json(Shipments { data }))
}
