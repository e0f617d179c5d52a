//! The HTTP routes of carts.

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post, put},
};
use makegood_chassis::{batcher::Batcher, http::HttpContext};
use utoipa::OpenApi;

use crate::{
    cart::NewCart,
    cart_creation::{self, Made},
};

mod cart_json;
mod create_cart;
mod delete_line;
mod line_edit;
mod put_line;
mod read_cart;
mod refusal;
mod wanted_line;

/// What the handlers share.
#[derive(Debug, Clone)]
struct CartHttp {
    context: HttpContext,
    maker: Batcher<NewCart, Made>,
}

impl FromRef<CartHttp> for HttpContext {
    fn from_ref(state: &CartHttp) -> Self {
        state.context.clone()
    }
}

pub(crate) fn router(context: HttpContext) -> Router {
    let maker = cart_creation::spawn_batcher(context.db.clone());
    Router::new()
        .route("/v1/carts", post(create_cart::create_cart))
        .route("/v1/carts/{id}", get(read_cart::read_cart))
        .route("/v1/carts/{id}/lines/{line}", put(put_line::put_line).delete(delete_line::delete_line))
        .with_state(CartHttp { context, maker })
}

#[derive(OpenApi)]
#[openapi(paths(create_cart::create_cart, read_cart::read_cart, put_line::put_line, delete_line::delete_line))]
struct Description;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

#[cfg(test)]
mod tests;
