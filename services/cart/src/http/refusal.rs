//! The cart's refusals as problems, each with a kind that clients can rely on.

use axum::http::StatusCode;
use makegood_chassis::problem::Problem;

use crate::{
    cart::{EditRefusal, OpenRefusal},
    pricing::{NotForSale, TotalOverflow},
};

pub(super) fn not_for_sale(reason: &NotForSale, pointer: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-product", "Not for sale", reason.to_string())
        .with("pointer", pointer)
}

pub(super) fn total_overflow(reason: &TotalOverflow, pointer: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "total-overflow", "The total is too large", reason.to_string())
        .with("pointer", pointer)
}

pub(super) fn open(refusal: &OpenRefusal) -> Problem {
    match refusal {
        OpenRefusal::NotForSale { position, reason } => not_for_sale(reason, &format!("/lines/{position}/sku")),
        OpenRefusal::TotalOverflow(reason) => total_overflow(reason, "/lines"),
    }
}

pub(super) fn edit(refusal: &EditRefusal, line: &str) -> Problem {
    match refusal {
        EditRefusal::Locked => Problem::conflict("cart-locked", "The cart is locked", refusal.to_string()),
        EditRefusal::Closed => Problem::conflict("cart-closed", "The cart is closed", refusal.to_string()),
        EditRefusal::TooManyLines => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too-many-lines", "Too many lines", refusal.to_string())
                .with("pointer", "")
        }
        EditRefusal::NoSuchLine => Problem::not_found("line", line),
        EditRefusal::TotalOverflow(reason) => total_overflow(reason, "/quantity"),
    }
}
