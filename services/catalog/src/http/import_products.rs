//! `POST /v1/products:import`.

use std::collections::HashSet;

use axum::{extract::State, http::StatusCode, response::Response};
use makegood_chassis::{
    auth::Scope,
    http::HttpContext,
    idempotency::{self, Answer, Post},
    problem::Problem,
};
use makegood_contracts::money::{Money, MoneyJson};
use serde::{Deserialize, Serialize};

use super::product_json;
use crate::{
    product::{Change, Product},
    product_writing::{Written, write_products},
};

/// Products of one import: what one transaction writes in well under a second, and what the body limit lets through.
const PRODUCTS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportProducts {
    /// 1 to 1,000, each SKU once.
    products: Vec<ImportedProduct>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportedProduct {
    sku: String,
    title: String,
    #[schema(value_type = Vec<MoneyJson>)]
    prices: Vec<Money>,
    #[serde(default = "product_json::active_by_default")]
    active: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Imported {
    /// One per product, in the order of the request.
    data: Vec<ImportedRow>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ImportedRow {
    sku: String,
    version: i64,
    result: Change,
}

/// Writes many products in one transaction: all of them, or none if one of them is invalid.
#[utoipa::path(
    post, path = "/v1/products:import", tag = "products", request_body = ImportProducts,
    params(("Idempotency-Key" = Option<String>, Header, description = "Same key, same answer")),
    responses(
        (status = 200, description = "What became of each", body = Imported),
        (status = 422, description = "A field cannot be used; its JSON pointer says which, and nothing was written")
    )
)]
pub(super) async fn import_products(
    State(context): State<HttpContext>,
    post: Post<ImportProducts>,
) -> Result<Response, Problem> {
    let Post { caller, claim, body } = post;
    caller.require(Scope::Server)?;
    let products = parse(body)?;
    let account = caller.account;
    idempotency::once(&context.db, claim.as_ref(), move |tx| {
        Box::pin(async move {
            let written = write_products(tx, account, &products).await?;
            let row = |(product, written): (&Product, &Written)| ImportedRow {
                sku: product.sku().to_owned(),
                version: written.version,
                result: written.change,
            };
            let imported = Imported { data: products.iter().zip(&written).map(row).collect() };
            Ok(Answer::json(StatusCode::OK, &imported)?)
        })
    })
    .await
}

fn parse(body: ImportProducts) -> Result<Vec<Product>, Problem> {
    if !(1..=PRODUCTS_MAX).contains(&body.products.len()) {
        return Err(Problem::invalid("/products", format!("an import has 1 to {PRODUCTS_MAX} products")));
    }
    let mut skus = HashSet::with_capacity(body.products.len());
    let parse_one = |(position, imported): (usize, ImportedProduct)| {
        let at = format!("/products/{position}");
        let ImportedProduct { sku, title, prices, active } = imported;
        if !skus.insert(sku.clone()) {
            return Err(Problem::invalid(&format!("{at}/sku"), "the SKU stands twice in this import"));
        }
        Product::new(sku, title, prices, active).map_err(|error| product_json::invalid(&at, error))
    };
    body.products.into_iter().enumerate().map(parse_one).collect()
}
