//! Checkouts as tests accept them, and what a saga tells of them.

use makegood_chassis::idempotency::Claim;
use makegood_contracts::{
    cart::PricedLine,
    money::Money,
    orchestrator::{Ending, Reason},
    order::{CloseCheckout, Confirmation, EndedCheckout, OpenCheckout},
};
use makegood_testing::SHOP;
use serde_json::json;
use sqlx::{PgPool, types::Json};
use time::macros::datetime;
use uuid::Uuid;

use crate::{
    checkout_accepting::{Accepted, Request, accept},
    checkout_row::{self, CheckoutRow},
    saga_message::RequestedCheckout,
};

/// A request under `key`, as the front door hands it on; requests with the same key and `body` are equal.
pub(crate) fn request(key: &str, body: &str, confirmation: Option<&str>) -> Request {
    let claim = Claim { account: SHOP, key_hash: key.as_bytes().to_vec(), fingerprint: body.as_bytes().to_vec() };
    let checkout = RequestedCheckout {
        id: Uuid::now_v7(),
        order_id: Uuid::now_v7(),
        account_id: SHOP.id,
        livemode: SHOP.livemode,
        cart_id: Uuid::now_v7(),
        email: "buyer@example.com".to_owned(),
        shipping_address: json!({"line1": "1 High Street"}),
        shipping_method: "standard".to_owned(),
        expected_total: Some(Json(pounds(1234))),
        reference: Some("ref-1".to_owned()),
        confirmed_in_call: confirmation.is_some(),
        confirmation: confirmation.map(|method| Json(Confirmation { payment_method: method.to_owned() })),
        traceparent: None,
    };
    Request { claim, checkout }
}

/// Accepts a new checkout and returns its id.
pub(crate) async fn accepted(pool: &PgPool, key: &str, confirmation: Option<&str>) -> Uuid {
    let accepted = accept(pool, &[request(key, "body", confirmation)]).await.expect("accepts");
    let [Accepted::New { checkout }] = accepted[..] else { panic!("{accepted:?}") };
    checkout
}

/// The input with which the saga opens a checkout.
pub(crate) fn opening() -> OpenCheckout {
    let line = PricedLine {
        line: "A-1".to_owned(),
        sku: "A-1".to_owned(),
        title: "Kettle".to_owned(),
        quantity: 2,
        unit_price_minor: 617,
    };
    OpenCheckout {
        lines: vec![line],
        total: pounds(1234),
        hold_expires_at: datetime!(2100-01-01 00:00:00.123456789 UTC),
    }
}

/// The saga's end, with the reason it was undone for: its step and code.
pub(crate) fn ending(
    checkout: Uuid,
    undone_for: Option<(&str, &str)>,
    shipment_ids: Option<Vec<Uuid>>,
) -> CloseCheckout {
    let reason = undone_for.map(|(step, code)| Reason {
        step: step.to_owned(),
        code: code.to_owned(),
        detail: "No.".to_owned(),
    });
    let ended = if reason.is_some() { Ending::Compensated } else { Ending::Completed };
    CloseCheckout { ended, reason, input: EndedCheckout { checkout_id: checkout, shipment_ids } }
}

/// The checkout as it is.
pub(crate) async fn checkout(pool: &PgPool, id: Uuid) -> CheckoutRow {
    checkout_row::load(pool, SHOP, id).await.expect("loads").expect("is there")
}

pub(crate) fn pounds(pence: i64) -> Money {
    Money::from_columns(pence, "GBP").expect("a currency")
}
