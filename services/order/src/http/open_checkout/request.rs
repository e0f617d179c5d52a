//! What a caller asks for, and what of it is refused before anything is written.

use makegood_chassis::{problem::Problem, sealed_id, secret::Secret};
use makegood_contracts::{
    account::Account,
    money::{Money, MoneyJson},
    order::Confirmation,
    plain_text::{is_plain_text, is_printable},
};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{http::checkout_json::CART_PREFIX, payment_method::PaymentMethod, saga_message::RequestedCheckout};

/// By RFC 5321 no path is longer.
const MAX_EMAIL_LENGTH: usize = 254;
const MAX_ADDRESS_LINE_LENGTH: usize = 200;
const MAX_POSTAL_CODE_LENGTH: usize = 20;
const MAX_REFERENCE_LENGTH: usize = 200;
/// Sealed ids, the longest ones, are shorter.
const MAX_SHOWN_ID_LENGTH: usize = 64;
/// The only method of this release; it is free.
const STANDARD_SHIPPING: &str = "standard";

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenCheckout {
    #[schema(example = "crt_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f0123456789abcdef")]
    cart_id: String,
    #[schema(example = "buyer@example.com")]
    email: String,
    shipping_address: ShippingAddress,
    /// `standard`, which is free.
    #[schema(example = "standard")]
    shipping_method: String,
    /// A token, never a card number. Goes with `confirm`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "pm_card_visa", pattern = "^pm_[A-Za-z0-9_]{1,100}$")]
    payment_method: Option<PaymentMethod>,
    /// Pay at once, without waiting for `…/confirm`.
    #[serde(default)]
    confirm: bool,
    /// Refused with `cart-changed` if the cart costs something else by now.
    #[serde(default)]
    #[schema(value_type = Option<MoneyJson>)]
    expected_total: Option<Money>,
    /// The shop's own reference, up to 200 characters.
    #[serde(default)]
    reference: Option<String>,
}

/// Where the order goes.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ShippingAddress {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line2: Option<String>,
    city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    postal_code: String,
    /// ISO 3166-1 alpha-2.
    #[schema(example = "GB")]
    country: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
}

impl OpenCheckout {
    /// The checkout to be written down, with new ids; or the problem with the first thing that cannot be used.
    pub(super) fn into_requested(
        self,
        secret: &Secret,
        account: Account,
        traceparent: String,
    ) -> Result<RequestedCheckout, Problem> {
        self.check()?;
        let cart_id = sealed_id::open(secret, CART_PREFIX, account, &self.cart_id)
            .ok_or_else(|| Problem::not_found("cart", shown(&self.cart_id)).with("pointer", "/cart_id"))?;
        let confirmation = self.payment_method.map(|method| Json(Confirmation { payment_method: method.into_token() }));
        Ok(RequestedCheckout {
            id: Uuid::now_v7(),
            order_id: Uuid::now_v7(),
            account_id: account.id,
            livemode: account.livemode,
            cart_id,
            email: self.email,
            shipping_address: serde_json::to_value(self.shipping_address).map_err(anyhow::Error::from)?,
            shipping_method: self.shipping_method,
            expected_total: self.expected_total.map(Json),
            reference: self.reference,
            confirmed_in_call: self.confirm,
            confirmation,
            traceparent: Some(traceparent),
        })
    }

    fn check(&self) -> Result<(), Problem> {
        check_email(&self.email)?;
        self.shipping_address.check()?;
        if self.shipping_method != STANDARD_SHIPPING {
            return Err(Problem::invalid("/shipping_method", "There is one shipping method: `standard`."));
        }
        match (self.confirm, &self.payment_method) {
            (true, None) => return Err(Problem::invalid("/payment_method", "Confirming needs a payment method.")),
            (false, Some(_)) => return Err(Problem::invalid("/payment_method", "payment_method goes with confirm")),
            (true, Some(_)) | (false, None) => {}
        }
        if self.expected_total.is_some_and(|total| total.minor_units < 0) {
            return Err(Problem::invalid("/expected_total", "A total is not negative."));
        }
        match &self.reference {
            Some(reference) => check_text("/reference", reference, MAX_REFERENCE_LENGTH),
            None => Ok(()),
        }
    }
}

impl ShippingAddress {
    fn check(&self) -> Result<(), Problem> {
        let lines = [
            ("/shipping_address/name", self.name.as_ref()),
            ("/shipping_address/line1", Some(&self.line1)),
            ("/shipping_address/line2", self.line2.as_ref()),
            ("/shipping_address/city", Some(&self.city)),
            ("/shipping_address/region", self.region.as_ref()),
            ("/shipping_address/phone", self.phone.as_ref()),
        ];
        for (pointer, line) in lines {
            if let Some(line) = line {
                check_text(pointer, line, MAX_ADDRESS_LINE_LENGTH)?;
            }
        }
        check_text("/shipping_address/postal_code", &self.postal_code, MAX_POSTAL_CODE_LENGTH)?;
        if self.country.len() != 2 || !self.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Problem::invalid("/shipping_address/country", "A country is two capital letters, such as GB."));
        }
        Ok(())
    }
}

/// Something, an at sign, something: whether mail arrives is known only once it has.
fn check_email(email: &str) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::invalid("/email", detail));
    if email.len() > MAX_EMAIL_LENGTH {
        return refuse("An e-mail address has at most 254 characters.");
    }
    let whole = email
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if !whole || email.chars().any(|letter| !is_printable(letter) || letter.is_whitespace()) {
        return refuse("This is no e-mail address.");
    }
    Ok(())
}

/// 1 to `max_length` characters, none of them a control character, and not only blanks.
fn check_text(pointer: &str, text: &str, max_length: usize) -> Result<(), Problem> {
    if text.trim().is_empty() || !is_plain_text(text, max_length) {
        let detail = format!("Expected 1 to {max_length} characters, none of them a control character.");
        return Err(Problem::invalid(pointer, detail));
    }
    Ok(())
}

/// An unknown id if it is the id of anything; the caller may have sent whatever, even a card number, and that is not repeated.
fn shown(id: &str) -> &str {
    let is_id = id.len() <= MAX_SHOWN_ID_LENGTH
        && id.split_once('_').is_some_and(|(prefix, rest)| {
            prefix.bytes().all(|byte| byte.is_ascii_lowercase()) && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
    if is_id { id } else { "(what was sent is no id)" }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(change: impl FnOnce(&mut Value)) -> Value {
        let mut body = json!({
            "cart_id": "crt_1", "email": "buyer@example.com", "shipping_method": "standard",
            "shipping_address": {"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"},
        });
        change(&mut body);
        body
    }

    fn problem_at(body: Value) -> Option<String> {
        let request: OpenCheckout = serde_json::from_value(body).expect("the right types");
        let problem = request.check().err()?;
        Some(problem.extensions["pointer"].as_str().expect("a pointer").to_owned())
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_place() {
        let table: [(&str, Value, &str); 13] = [
            ("/email", json!("buyer"), "/email"),
            ("/email", json!("a@b@c"), "/email"),
            ("/email", json!("a\u{202e}@example.com"), "/email"),
            ("/email", json!("a\u{0}@example.com"), "/email"),
            ("/email", json!(format!("{}@example.com", "a".repeat(254))), "/email"),
            ("/shipping_address/line1", json!(" "), "/shipping_address/line1"),
            ("/shipping_address/city", json!("Lee\u{0}ds"), "/shipping_address/city"),
            ("/shipping_address/country", json!("gb"), "/shipping_address/country"),
            ("/shipping_address/postal_code", json!("1".repeat(21)), "/shipping_address/postal_code"),
            ("/shipping_method", json!("express"), "/shipping_method"),
            ("/reference", json!("x".repeat(201)), "/reference"),
            ("/confirm", json!(true), "/payment_method"),
            ("/payment_method", json!("pm_card_visa"), "/payment_method"),
        ];
        for (place, value, expected) in table {
            let changed = body(|body| match body.pointer_mut(place) {
                Some(found) => *found = value.clone(),
                None => body[place.trim_start_matches('/')] = value.clone(),
            });
            assert_eq!(problem_at(changed).as_deref(), Some(expected), "{place} = {value}");
        }
    }

    #[test]
    fn an_unknown_cart_is_named_only_by_what_can_be_an_id() {
        assert_eq!(shown("ord_0198f0c2a3b47c5d"), "ord_0198f0c2a3b47c5d");
        for id in ["4242424242424242", "crt_../..", "", &format!("crt_{}", "0".repeat(100))] {
            assert_eq!(shown(id), "(what was sent is no id)", "{id}");
        }
    }

    #[test]
    fn a_plain_request_and_a_confirming_one_pass() {
        assert_eq!(problem_at(body(|_| {})), None);
        let confirming = body(|body| {
            body["confirm"] = json!(true);
            body["payment_method"] = json!("pm_card_visa");
            body["expected_total"] = json!({"amount": "12.34", "currency": "GBP"});
        });
        assert_eq!(problem_at(confirming), None);
    }
}
