//! `GET /v1/admin/shipments?order_id=`: the shipments of an order; with `refused=true` or `unanswered=true`, those that the carrier refuses
//! or says nothing of.

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
    /// Instead: those that the carrier has not answered for since it was offered them 15 minutes ago, the 200 oldest.
    unanswered: Option<bool>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Shipments {
    /// Of an order one per warehouse, so there are never many; none for an order that this shop does not have.
    data: Vec<Shipment>,
}

/// Lists the shipments of an order, or those that the carrier has not taken.
#[utoipa::path(
    operation_id = "list_shipments", get, path = "/v1/admin/shipments", tag = "fulfillment", params(ListShipments),
    responses((status = 200, body = Shipments), (status = 422, description = "None of the three, or several"))
)]
pub(crate) async fn handle(
    State(http): State<HttpContext>,
    caller: Caller,
    Query(query): Query<ListShipments>,
) -> Result<axum::Json<Shipments>, Problem> {
    caller.require(Scope::Server)?;
    let is_wanted = |flag: Option<bool>| flag == Some(true);
    let which = match (query.order_id, is_wanted(query.refused), is_wanted(query.unanswered)) {
        (Some(order_id), false, false) => Which::OfOrder(order_id),
        (None, true, false) => Which::Refused,
        (None, false, true) => Which::Unanswered,
        _ => {
            let detail = "Give one of `order_id`, `refused=true` and `unanswered=true`.";
            return Err(Problem::invalid("/order_id", detail));
        }
    };
    let data = shipment_view::find(&http.db, caller.account, which).await?;
    Ok(axum::Json(Shipments { data }))
}
