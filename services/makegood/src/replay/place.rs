//! One order through the public API: a cart, a checkout that confirms at once, and its end.

use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{country::iso_code, gbp, invoice::Invoice, run_name::RunName};
use crate::client::api::{Answer, Api, Request};

/// What all orders of a run have in common.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(crate) api: Api,
    pub(crate) secret_key: String,
    pub(crate) name: RunName,
    pub(crate) payment_method: String,
    /// For customers whose country the file does not say.
    pub(crate) country: String,
}

/// How an order ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// `total` is what the API says it cost; none if that is no amount of GBP.
    Completed { total: Option<Decimal> },
    /// A business no, before or after the checkout opened.
    Refused { code: String },
    /// No final answer: the deployment is in trouble, or we were stopped.
    Undecided { why: String },
}

/// Places an order, or finds it where an earlier run placed it.
pub(crate) async fn place(shop: &Shop, invoice: &Invoice) -> Ended {
    match try_place(shop, invoice).await {
        Ok(ended) => ended,
        Err(error) => Ended::Undecided { why: format!("{error:#}") },
    }
}

async fn try_place(shop: &Shop, invoice: &Invoice) -> anyhow::Result<Ended> {
    let reference = shop.name.reference(invoice);
    let key = format!("{reference}:cart");
    let cart = shop.api.call(Request::post("/v1/carts", &shop.secret_key, &cart_body(invoice)).keyed(&key)).await?;
    if !cart.status.is_success() {
        return Ok(Ended::Refused { code: cart.problem() });
    }
    let key = format!("{reference}:checkout");
    let body = checkout_body(shop, invoice, &cart.body["id"], &reference);
    let answer = shop.api.call(Request::post("/v1/checkouts", &shop.secret_key, &body).keyed(&key).waiting()).await?;
    if answer.status.is_success() {
        return follow(shop, answer).await;
    }
    // Keys live for a day: a later run gets a new cart for its cart key, so its checkout differs from the one that the
    // order's token names for ever. The old one is the order.
    match answer.body["checkout"].as_str().filter(|_| answer.status == StatusCode::UNPROCESSABLE_ENTITY) {
        Some(checkout) => follow(shop, ask(shop, checkout).await?).await,
        None => Ok(Ended::Refused { code: answer.problem() }),
    }
}

/// Asks until the checkout has ended.
async fn follow(shop: &Shop, mut answer: Answer) -> anyhow::Result<Ended> {
    loop {
        let checkout = answer.success("following a checkout")?;
        if let Some(ended) = ended(&checkout) {
            return Ok(ended);
        }
        let id = checkout["id"].as_str().ok_or_else(|| anyhow::anyhow!("a checkout without id: {checkout}"))?;
        answer = ask(shop, id).await?;
    }
}

async fn ask(shop: &Shop, checkout: &str) -> anyhow::Result<Answer> {
    shop.api.call(Request::get(&format!("/v1/checkouts/{checkout}"), &shop.secret_key).waiting()).await
}

/// None while the checkout is on its way.
fn ended(checkout: &Value) -> Option<Ended> {
    match checkout["status"].as_str()? {
        "completed" => Some(Ended::Completed { total: amount_of(&checkout["total"]) }),
        status @ ("failed" | "expired" | "cancelled") => {
            Some(Ended::Refused { code: checkout["failure"]["code"].as_str().unwrap_or(status).replace('_', "-") })
        }
        _ => None,
    }
}

fn amount_of(money: &Value) -> Option<Decimal> {
    let in_pounds = money["currency"].as_str() == Some("GBP");
    money["amount"].as_str().filter(|_| in_pounds)?.parse().ok()
}

fn cart_body(invoice: &Invoice) -> Value {
    let lines: Vec<Value> = invoice
        .lines
        .iter()
        .map(|line| json!({"line": line.name, "sku": line.sku, "quantity": line.quantity, "unit_price": gbp(line.price)}))
        .collect();
    json!({"currency": "GBP", "lines": lines})
}

/// The file knows no more of its buyers than a number and a country.
fn checkout_body(shop: &Shop, invoice: &Invoice, cart_id: &Value, reference: &str) -> Value {
    let customer: String = invoice.customer.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
    let (email, buyer) = match customer.as_str() {
        "" => ("guest@example.com".to_owned(), "Guest".to_owned()),
        number => (format!("customer{number}@example.com"), format!("Customer {number}")),
    };
    json!({
        "cart_id": cart_id,
        "email": email,
        "shipping_address": {
            "name": buyer,
            "line1": "1 Replay Street",
            "city": "Anytown",
            "postal_code": "00000",
            "country": iso_code(&invoice.country).unwrap_or(&shop.country),
        },
        "shipping_method": "standard",
        "payment_method": shop.payment_method,
        "confirm": true,
        "reference": reference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_states_end_an_order() {
        let completed = json!({"status": "completed", "total": {"amount": "12.34", "currency": "GBP"}});
        assert_eq!(ended(&completed), Some(Ended::Completed { total: Some(Decimal::new(1234, 2)) }));
        let failed = json!({"status": "failed", "failure": {"code": "card_declined", "detail": "…"}});
        assert_eq!(ended(&failed), Some(Ended::Refused { code: "card-declined".into() }));
        assert_eq!(
            ended(&json!({"status": "expired", "failure": null})),
            Some(Ended::Refused { code: "expired".into() })
        );
        for status in ["open", "processing", "requires_action"] {
            assert_eq!(ended(&json!({"status": status})), None);
        }
    }
}
