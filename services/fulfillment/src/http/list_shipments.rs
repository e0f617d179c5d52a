//! `GET /v1/admin/shipments?order_id=`: the shipments of an order; with `refused=true`, those that the carrier refuses.

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
    /// The shipments of this order.
    #[param(value_type = Option<String>, example = "ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    order_id: Option<OrderId>,
    /// Instead: those that the carrier refuses, the 200 oldest.
    refused: Option<bool>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Shipments {
    /// Of an order one per warehouse, so there are never many; none for an order that this shop does not have.
    data: Vec<Shipment>,
}

/// Lists the shipments of an order, or those that the carrier refuses.
#[utoipa::path(
    operation_id = "list_shipments", get, path = "/v1/admin/shipments", tag = "fulfillment", params(ListShipments),
    responses((status = 200, body = Shipments), (status = 422, description = "Neither an order nor `refused=true`, or both"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Query(query): Query<ListShipments>,
) -> Result<axum::Json<Shipments>, Problem> {
    caller.require(Scope::Server)?;
    let which = match (query.order_id, query.refused) {
        (Some(order_id), None | Some(false)) => Which::OfOrder(order_id),
        (None, Some(true)) => Which::Refused,
        (None, None | Some(false)) | (Some(_), Some(true)) => {
            return Err(Problem::invalid("/order_id", "Give `order_id`, or `refused=true`."));
        }
    };
    let data = shipment_view::find(&http.db, caller.account, which).await?;
    Ok(axum::Json(Shipments { data }))
}
