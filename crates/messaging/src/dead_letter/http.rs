//! `/v1/admin/dead_letters/{service}`: messages that could not be handled, for an operator: looked at, sent again, let go.
//!
//! Each role serves the letters of its own database, so the path says which role is asked. They belong to the deployment and to no
//! shop: who holds an admin key sees all of them, masked.

mod decide;
mod discard_dead_letter;
mod get_dead_letter;
mod letter_json;
mod list_dead_letters;
mod redrive_dead_letter;
#[cfg(test)]
mod tests;

use axum::{
    Router,
    routing::{get, post},
};
use makegood_chassis::http::HttpContext;
use utoipa::OpenApi;

/// The routes of one service's letters.
pub fn router(http: HttpContext, service: &str) -> Router {
    let all = format!("/v1/admin/dead_letters/{service}");
    Router::new()
        .route(&all, get(list_dead_letters::list_dead_letters))
        .route(&format!("{all}/{{id}}"), get(get_dead_letter::get_dead_letter))
        .route(&format!("{all}/{{id}}/redrive"), post(redrive_dead_letter::redrive_dead_letter))
        .route(&format!("{all}/{{id}}/discard"), post(discard_dead_letter::discard_dead_letter))
        .with_state(http)
}

#[derive(OpenApi)]
#[openapi(
    paths(
        list_dead_letters::list_dead_letters,
        get_dead_letter::get_dead_letter,
        redrive_dead_letter::redrive_dead_letter,
        discard_dead_letter::discard_dead_letter
    ),
    tags((name = "dead letters", description = "Messages that could not be handled: why, and what is to become of them."))
)]
struct Api;

/// Described once, whichever services are served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
