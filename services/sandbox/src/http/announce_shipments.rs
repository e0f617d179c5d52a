//! `POST /carrier/v1/shipments`: parcels for the pretend carrier.

use axum::{Json, extract::State};
use http::Uri;
use makegood_chassis::{extract, problem::Problem};
use makegood_contracts::plain_text::is_plain_text;
use serde::{Deserialize, Serialize};

use super::SandboxHttp;
use crate::carrier::{self, Announcement};

/// Parcels in one request; more come in several.
const MAX_SHIPMENTS: usize = 1_000;
/// Ids and methods are names.
const MAX_NAME_CHARS: usize = 64;
const MAX_URL_CHARS: usize = 500;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AnnounceShipments {
    /// At most 1,000.
    shipments: Vec<Announcement>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Announced {
    announced: usize,
}

/// Announces parcels. Each ships some time later and its callback address is told; announced again, nothing changes, but a
/// parcel that has shipped is told again.
#[utoipa::path(
    post, path = "/carrier/v1/shipments", tag = "sandbox", request_body = AnnounceShipments, security(()),
    responses((status = 200, body = Announced), (status = 422, description = "A field cannot be used"))
)]
pub(super) async fn announce_shipments(
    State(state): State<SandboxHttp>,
    extract::Json(AnnounceShipments { shipments }): extract::Json<AnnounceShipments>,
) -> Result<Json<Announced>, Problem> {
    if shipments.len() > MAX_SHIPMENTS {
        return Err(Problem::invalid("/shipments", "must have at most 1,000 items"));
    }
    for (n, shipment) in shipments.iter().enumerate() {
        check(shipment).map_err(|(field, detail)| Problem::invalid(&format!("/shipments/{n}/{field}"), detail))?;
    }
    carrier::announce(&state.context.db, &shipments, state.config.sandbox_ship_after).await?;
    Ok(Json(Announced { announced: shipments.len() }))
}

fn check(shipment: &Announcement) -> Result<(), (&'static str, &'static str)> {
    let is_name = |text: &str| is_plain_text(text, MAX_NAME_CHARS);
    if !is_name(&shipment.shipment_id) {
        return Err(("shipment_id", "must have 1 to 64 characters, none of them a control character"));
    }
    if !is_name(&shipment.shipping_method) {
        return Err(("shipping_method", "must have 1 to 64 characters, none of them a control character"));
    }
    let url = shipment.callback_url.parse::<Uri>().ok().filter(|_| shipment.callback_url.len() <= MAX_URL_CHARS);
    let is_http = url.is_some_and(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
    if is_http { Ok(()) } else { Err(("callback_url", "must be an http or https address of at most 500 characters")) }
}
