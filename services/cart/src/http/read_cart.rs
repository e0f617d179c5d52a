//! `GET /v1/carts/{id}`.

use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    http::HttpContext,
    problem::Problem,
    sealed_id,
};
use uuid::Uuid;

use super::cart_json::{self, CartJson, ID_PREFIX};
use crate::store::load_cart;

/// Shows a cart with its total.
#[utoipa::path(
    get, path = "/v1/carts/{id}", tag = "carts", params(("id" = String, Path, description = "As `POST /v1/carts` gave it")),
    responses((status = 200, description = "The cart, with ETag", body = CartJson), (status = 404, description = "No such cart"))
)]
pub(super) async fn read_cart(
    State(context): State<HttpContext>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    caller.require(Scope::Storefront)?;
    let cart_id = opened(&context, &caller, &id)?;
    let cart = load_cart(&context.db, caller.account, cart_id).await?.ok_or_else(|| Problem::not_found("cart", &id))?;
    cart_json::shown(&context.secret, &cart)
}

/// The cart's bare id, or 404 for what was not sealed for the caller's account.
pub(super) fn opened(context: &HttpContext, caller: &Caller, id: &str) -> Result<Uuid, Problem> {
    sealed_id::open(&context.secret, ID_PREFIX, caller.account, id).ok_or_else(|| Problem::not_found("cart", id))
}
