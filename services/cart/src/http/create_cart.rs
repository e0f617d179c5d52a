//! `POST /v1/carts`.

use std::collections::HashSet;

use anyhow::Context;
use axum::{extract::State, http::StatusCode, response::Response};
use iso_currency::Currency;
use makegood_chassis::{
    auth::{Caller, Scope},
    entity_tag,
    idempotency::{self, Answer, Post},
    problem::Problem,
    secret::Secret,
};
use makegood_contracts::money::{Money, MoneyError, MoneyJson, minor_unit_digits, parse_currency};
use serde::Deserialize;
use uuid::Uuid;

use super::{CartHttp, cart_json::CartJson, refusal, wanted_line};
use crate::{
    cart::{Cart, FIRST_VERSION, LINES_MAX, NewCart, OpenRefusal},
    cart_creation::make_carts,
    pricing::WantedLine,
};

/// A cart with more lines than this is made on its own: it would hold up the small ones of its batch.
const BATCHED_LINES_MAX: usize = 100;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateCart {
    /// ISO 4217 code; every price of the cart is in it.
    #[schema(example = "GBP")]
    currency: String,
    /// At most 2,000.
    #[serde(default)]
    lines: Vec<CreateLine>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateLine {
    sku: String,
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// The line's name within the cart, by default the SKU; lets one SKU stand twice at different prices.
    line: Option<String>,
    /// The shop's own price; secret keys only.
    #[schema(value_type = Option<MoneyJson>)]
    unit_price: Option<Money>,
}

/// Makes a cart, priced by the catalog or by the shop's own prices.
#[utoipa::path(
    post, path = "/v1/carts", tag = "carts", request_body = CreateCart,
    params(("Idempotency-Key" = Option<String>, Header, description = "Same key, same cart")),
    responses(
        (status = 201, description = "The cart, with ETag and Location", body = CartJson),
        (status = 403, description = "`unit_price` with a publishable key"),
        (status = 422, description = "A field cannot be used, a product is unknown (`unknown-product`) or the total overflows")
    )
)]
pub(super) async fn create_cart(State(state): State<CartHttp>, post: Post<CreateCart>) -> Result<Response, Problem> {
    let Post { caller, claim, body } = post;
    caller.require(Scope::Storefront)?;
    let context = state.context;
    let cart = NewCart {
        id: Uuid::now_v7(),
        account: caller.account,
        currency: usable_currency(&body.currency).map_err(|error| Problem::invalid("/currency", error.to_string()))?,
        // What the table can keep, so that every answer shows the same instant.
        created_at: context.clock.now().truncate_to_microsecond(),
        lines: Vec::new(),
    };
    let cart = NewCart { lines: wanted_lines(&caller, body.lines, cart.currency)?, ..cart };

    let secret = context.secret;
    let mut response = if claim.is_none() && cart.lines.len() <= BATCHED_LINES_MAX {
        let made = state.maker.call(cart).await?.map_err(anyhow::Error::from)?;
        answer(&secret, made)?.into_response(false)
    } else {
        idempotency::once(&context.db, claim.as_ref(), move |tx| {
            Box::pin(async move {
                let mut made = make_carts(tx, vec![cart]).await?;
                let made = made.pop().context("one cart was to be made, and none was decided on")?;
                answer(&secret, made)
            })
        })
        .await?
    };
    if response.status() == StatusCode::CREATED {
        entity_tag::insert(response.headers_mut(), FIRST_VERSION);
    }
    Ok(response)
}

fn usable_currency(code: &str) -> Result<Currency, MoneyError> {
    let currency = parse_currency(code)?;
    minor_unit_digits(currency).map(|_| currency)
}

fn wanted_lines(caller: &Caller, lines: Vec<CreateLine>, currency: Currency) -> Result<Vec<WantedLine>, Problem> {
    if lines.len() > LINES_MAX {
        return Err(Problem::invalid("/lines", format!("a cart has at most {LINES_MAX} lines")));
    }
    let mut names = HashSet::with_capacity(lines.len());
    let wanted = |(position, line): (usize, CreateLine)| {
        let at = |field: &str| format!("/lines/{position}/{field}");
        let CreateLine { sku, quantity, line: name, unit_price } = line;
        wanted_line::check_name(&sku, &at("sku"))?;
        wanted_line::check_quantity(quantity, &at("quantity"))?;
        let name = name.unwrap_or_else(|| sku.clone());
        wanted_line::check_name(&name, &at("line"))?;
        if !names.insert(name.clone()) {
            return Err(Problem::invalid(
                &at("line"),
                format!("the name `{name}` stands twice; give one of the lines a name of its own"),
            ));
        }
        let own_price_minor = wanted_line::check_own_price(caller, unit_price, currency, &at("unit_price"))?;
        Ok(WantedLine { name, sku, quantity, own_price_minor })
    };
    lines.into_iter().enumerate().map(wanted).collect()
}

/// A refusal is no answer that is stored under a key: it may be another one once the catalog has changed.
fn answer(secret: &Secret, made: Result<Cart, OpenRefusal>) -> Result<Answer, Problem> {
    let cart = made.map_err(|refusal| refusal::open(&refusal))?;
    let json = CartJson::of(secret, &cart)?;
    Ok(Answer::json(StatusCode::CREATED, &json)?.at(format!("/v1/carts/{}", json.id)))
}
