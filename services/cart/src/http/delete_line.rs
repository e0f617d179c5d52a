//! `DELETE /v1/carts/{id}/lines/{line}`.

use anyhow::Context;
use axum::{extract::State, response::Response};
use makegood_chassis::{auth::Caller, entity_tag::Conditions, extract::Path, http::HttpContext, problem::Problem};
use sqlx::PgPool;

use super::{
    cart_json::{self, CartJson},
    line_edit::{ATTEMPTS, Place, contended, stand_back},
    refusal,
};
use crate::cart::Cart;

/// Removes the line.
#[utoipa::path(
    delete, path = "/v1/carts/{id}/lines/{line}", tag = "carts",
    params(
        ("id" = String, Path, description = "The cart"), ("line" = String, Path, description = "The line's name"),
        ("If-Match" = Option<String>, Header, description = "Edit this version only")
    ),
    responses(
        (status = 200, description = "The cart after the edit, with ETag", body = CartJson),
        (status = 404, description = "No such cart or line"),
        (status = 409, description = "A checkout has the cart (`cart-locked`), it is an order (`cart-closed`), or too many edit it at once (`cart-contended`)"),
        (status = 412, description = "The version has changed")
    )
)]
pub(super) async fn delete_line(
    State(context): State<HttpContext>,
    caller: Caller,
    path: Path<(String, String)>,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let place = Place::of(&context, &caller, path)?;
    for _ in 0..ATTEMPTS {
        let cart = place.load_editable(&context, &caller, &conditions).await?;
        let edited = cart.remove_line(&place.line).map_err(|refusal| refusal::edit(&refusal, &place.line))?;
        if erase_line(&context.db, &edited, &place.line).await? {
            return cart_json::shown(&context.secret, &edited);
        }
        stand_back().await;
    }
    Err(contended())
}

/// False if the cart is not the version before `edited.version` any more, or not open.
async fn erase_line(db: &PgPool, edited: &Cart, line: &str) -> anyhow::Result<bool> {
    let erased = sqlx::query(
        r#"
        with edited as (
            update cart set version = version + 1, updated_at = now()
            where id = $1 and version = $2 - 1 and state = 'open' returning id
        )
        delete from cart_line using edited where cart_line.cart_id = edited.id and cart_line.line = $3
        "#,
    )
    .bind(edited.id)
    .bind(edited.version)
    .bind(line)
    .execute(db)
    .await
    .with_context(|| format!("deleting a line of cart {}", edited.id))?;
    Ok(erased.rows_affected() == 1)
}
