//! The provider's requests and answers as JSON, and how they map to ours.

use anyhow::Context as _;
use http::StatusCode;
use makegood_contracts::plain_text::is_plain_text;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    operation::{Kind, Operation, Refusal, Said},
    store::Intent,
};

#[derive(Serialize)]
struct Authorization<'a> {
    merchant: Uuid,
    amount_minor: i64,
    currency: &'a str,
    payment_method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
}

#[derive(Serialize)]
struct Void {
    authorization: Uuid,
}

/// A capture or a refund.
#[derive(Serialize)]
struct Movement<'a> {
    authorization: Uuid,
    amount_minor: i64,
    currency: &'a str,
}

/// The path under the provider's base and the body of the request for an operation.
pub(super) fn request(operation: &Operation, intent: &Intent) -> anyhow::Result<(&'static str, Vec<u8>)> {
    let authorization = intent.authorization_id;
    let movement = Movement { authorization, amount_minor: operation.amount_minor, currency: &intent.currency };
    let (path, body) = match operation.kind {
        Kind::Authorize => ("authorizations", serde_json::to_vec(&authorization_of(operation, intent))),
        Kind::Capture => ("captures", serde_json::to_vec(&movement)),
        Kind::Void => ("voids", serde_json::to_vec(&Void { authorization })),
        Kind::Refund => ("refunds", serde_json::to_vec(&movement)),
    };
    Ok((path, body.context("writing a request to the provider")?))
}

fn authorization_of<'a>(operation: &Operation, intent: &'a Intent) -> Authorization<'a> {
    Authorization {
        merchant: intent.account.id,
        amount_minor: operation.amount_minor,
        currency: &intent.currency,
        payment_method: &intent.payment_method,
        order_id: intent.order_id,
        reference: intent.reference.as_deref(),
    }
}

#[derive(Deserialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Succeeded,
    Declined,
    RequiresAction,
}

#[derive(Deserialize)]
struct Answer {
    status: Status,
    amount_minor: Option<i64>,
    provider_reference: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    redirect_url: Option<String>,
}

/// Longest text of an answer, in characters: longer than any reference or code, and than the address of a challenge.
const MAX_TEXT: usize = 2_048;

impl Answer {
    /// Its texts are stored, indexed and shown, and an answer whose texts cannot be must not spoil the others that are settled with it.
    fn check_texts(&self) -> anyhow::Result<()> {
        for (field, text) in [
            ("provider_reference", &self.provider_reference),
            ("code", &self.code),
            ("decline_code", &self.decline_code),
            ("redirect_url", &self.redirect_url),
        ] {
            let is_usable = text.as_ref().is_none_or(|text| is_plain_text(text, MAX_TEXT));
            anyhow::ensure!(is_usable, "the provider's `{field}` is not 1 to {MAX_TEXT} printable characters");
        }
        Ok(())
    }
}

/// What an answer about an operation says. Only a 2xx with a body that is understood says anything, and nothing is
/// understood that speaks of another amount than was asked for.
pub(super) fn read(operation: &Operation, status: StatusCode, body: &[u8]) -> anyhow::Result<Said> {
    anyhow::ensure!(status.is_success(), "the provider answered {status}");
    let answer: Answer = serde_json::from_slice(body).context("the provider's answer cannot be read")?;
    answer.check_texts()?;
    let amount_minor = answer.amount_minor.context("an answer without an amount")?;
    let is_void = operation.kind == Kind::Void;
    anyhow::ensure!(
        amount_minor == operation.amount_minor || is_void && amount_minor == 0,
        "the provider speaks of {amount_minor} where {} was asked for",
        operation.amount_minor
    );
    Ok(match answer.status {
        Status::Succeeded => Said::Succeeded {
            provider_reference: answer.provider_reference.context("a success without a reference")?,
            released_minor: if is_void { amount_minor } else { 0 },
        },
        Status::Declined => Said::Declined {
            provider_reference: answer.provider_reference,
            refusal: Refusal {
                code: answer.code.unwrap_or_else(|| "card_declined".to_owned()),
                decline_code: answer.decline_code,
            },
        },
        Status::RequiresAction => {
            Said::ActionRequired { redirect_url: answer.redirect_url.context("an action without an address")? }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::State;

    fn operation(kind: Kind) -> Operation {
        Operation {
            id: Uuid::nil(),
            intent_id: Uuid::nil(),
            kind,
            amount_minor: 100,
            state: State::Started,
            provider_reference: None,
            refusal: None,
            redirect_url: None,
            refund_id: None,
            reason: None,
            asker: None,
        }
    }

    fn said(kind: Kind, status: u16, body: &str) -> Option<Said> {
        read(&operation(kind), StatusCode::from_u16(status).expect("a status"), body.as_bytes()).ok()
    }

    #[test]
    fn only_a_clear_answer_says_anything() {
        let done = Said::Succeeded { provider_reference: "ch_1".to_owned(), released_minor: 0 };
        let success = r#"{"status":"succeeded","amount_minor":100,"provider_reference":"ch_1"}"#;
        assert_eq!(said(Kind::Capture, 200, success), Some(done));
        for (status, body) in [
            (500, r#"{"status":"declined","amount_minor":100}"#),
            (409, success),
            (302, ""),
            (200, ""),
            (200, "<html>"),
            (200, r#"{"status":"succeeded","amount_minor":100}"#),
            (200, r#"{"status":"requires_action","amount_minor":100}"#),
            (200, r#"{"status":"processing","amount_minor":100}"#),
            (200, r#"{"status":"succeeded","amount_minor":99,"provider_reference":"ch_1"}"#),
            (200, r#"{"status":"succeeded","provider_reference":"ch_1"}"#),
            (200, r#"{"status":"succeeded","amount_minor":100,"provider_reference":"ch_\u0000"}"#),
            (200, r#"{"status":"declined","amount_minor":100,"code":"no\nway"}"#),
            (200, &format!(r#"{{"status":"declined","amount_minor":100,"code":"{}"}}"#, "x".repeat(2_049))),
        ] {
            assert_eq!(said(Kind::Capture, status, body), None, "{status} {body}");
        }
    }

    #[test]
    fn a_void_lets_all_go_or_nothing() {
        let body =
            |minor: i64| format!(r#"{{"status":"succeeded","amount_minor":{minor},"provider_reference":"vo_1"}}"#);
        for released_minor in [0, 100] {
            let done = Said::Succeeded { provider_reference: "vo_1".to_owned(), released_minor };
            assert_eq!(said(Kind::Void, 200, &body(released_minor)), Some(done));
        }
        assert_eq!(said(Kind::Void, 200, &body(50)), None);
    }
}
