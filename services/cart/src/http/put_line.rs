//! `PUT /v1/carts/{id}/lines/{line}`.

use anyhow::Context;
use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::Caller,
    entity_tag::Conditions,
    extract::{Json, Path},
    http::HttpContext,
    problem::Problem,
};
use makegood_contracts::money::{Money, MoneyJson};
use serde::Deserialize;
use sqlx::PgPool;

use super::{
    cart_json::{self, CartJson},
    line_edit::{ATTEMPTS, Place, contended, stand_back},
    refusal, wanted_line,
};
use crate::{
    cart::{Cart, Line},
    pricing::{self, WantedLine},
    store::{OfferQuery, load_offers},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutLine {
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// By default that of the line if there is one, and else the line's name.
    sku: Option<String>,
    /// The shop's own price; secret keys only. Without it the line gets the catalog's price.
    #[schema(value_type = Option<MoneyJson>)]
    unit_price: Option<Money>,
}

/// Adds the line or replaces the one of its name.
#[utoipa::path(
    put, path = "/v1/carts/{id}/lines/{line}", tag = "carts", request_body = PutLine,
    params(
        ("id" = String, Path, description = "The cart"), ("line" = String, Path, description = "The line's name, or simply a SKU"),
        ("If-Match" = Option<String>, Header, description = "Edit this version only")
    ),
    responses(
        (status = 200, description = "The cart after the edit, with ETag", body = CartJson),
        (status = 403, description = "`unit_price` with a publishable key"),
        (status = 404, description = "No such cart"),
        (status = 409, description = "A checkout has the cart (`cart-locked`), it is an order (`cart-closed`), or too many edit it at once (`cart-contended`)"),
        (status = 412, description = "The version has changed"),
        (status = 422, description = "A field cannot be used, the product is unknown, or a limit is exceeded")
    )
)]
pub(super) async fn put_line(
    State(context): State<HttpContext>,
    caller: Caller,
    path: Path<(String, String)>,
    conditions: Conditions,
    Json(body): Json<PutLine>,
) -> Result<Response, Problem> {
    let place = Place::of(&context, &caller, path)?;
    wanted_line::check_name(&place.line, "").map_err(|problem| problem.with("parameter", "line"))?;
    wanted_line::check_quantity(body.quantity, "/quantity")?;
    if let Some(sku) = &body.sku {
        wanted_line::check_name(sku, "/sku")?;
    }
    for _ in 0..ATTEMPTS {
        let cart = place.load_editable(&context, &caller, &conditions).await?;
        let line = priced_line(&context.db, &caller, &cart, &place.line, &body).await?;
        let edited = cart.put_line(line.clone()).map_err(|refusal| refusal::edit(&refusal, &place.line))?;
        if write_line(&context.db, &edited, &line).await? {
            return cart_json::shown(&context.secret, &edited);
        }
        stand_back().await;
    }
    Err(contended())
}

async fn priced_line(db: &PgPool, caller: &Caller, cart: &Cart, name: &str, body: &PutLine) -> Result<Line, Problem> {
    let sku = body.sku.as_deref().or_else(|| cart.line(name).map(|line| line.sku.as_str())).unwrap_or(name);
    let own_price_minor = wanted_line::check_own_price(caller, body.unit_price, cart.currency, "/unit_price")?;
    let offers = load_offers(db, &[OfferQuery { account: cart.account, currency: cart.currency, sku }]).await?;
    let wanted = WantedLine { name: name.to_owned(), sku: sku.to_owned(), quantity: body.quantity, own_price_minor };
    let offer = offers.first().and_then(Option::as_ref);
    pricing::price_line(wanted, cart.currency, offer).map_err(|reason| refusal::not_for_sale(&reason, "/sku"))
}

/// False if the cart is not the version before `edited.version` any more, or not open.
async fn write_line(db: &PgPool, edited: &Cart, line: &Line) -> anyhow::Result<bool> {
    let written = sqlx::query(
        r#"
        with edited as (
            update cart set version = version + 1, updated_at = now()
            where id = $1 and version = $2 - 1 and state = 'open' returning id
        )
        insert into cart_line (cart_id, line, sku, title, quantity, unit_price_minor, own_price)
        select id, $3, $4, $5, $6, $7, $8 from edited
        on conflict on constraint cart_line_key do update
        set sku = excluded.sku, title = excluded.title, quantity = excluded.quantity,
            unit_price_minor = excluded.unit_price_minor, own_price = excluded.own_price
        "#,
    )
    .bind(edited.id)
    .bind(edited.version)
    .bind(&line.name)
    .bind(&line.sku)
    .bind(&line.title)
    .bind(line.quantity)
    .bind(line.unit_price_minor)
    .bind(line.own_price)
    .execute(db)
    .await
    .with_context(|| format!("writing a line of cart {}", edited.id))?;
    Ok(written.rows_affected() == 1)
}
