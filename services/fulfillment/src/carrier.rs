//! The carrier, as we speak to it: a batch of shipments is offered, and accepted once however often it is offered.

use std::time::Duration;

use anyhow::Context;
use makegood_contracts::id::ShipmentId;
use reqwest::StatusCode;
use serde::Serialize;

use crate::config::Config;

/// Above what a healthy carrier takes for a full batch, and below the lease under which a batch is offered.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// As much of the carrier's reason for a refusal as is kept.
const REFUSAL_CHARS: usize = 300;

/// A connection to the carrier of this deployment.
#[derive(Debug, Clone)]
pub(crate) struct Carrier {
    client: reqwest::Client,
    shipments_url: String,
    callback_url: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferedShipment {
    pub(crate) id: ShipmentId,
    pub(crate) shipping_method: String,
}

/// What the carrier says to a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// It will not have the batch as it is: something in it is wrong.
    Refused(String),
}

#[derive(Serialize)]
struct Offer<'a> {
    shipments: Vec<Shipment<'a>>,
}

#[derive(Serialize)]
struct Shipment<'a> {
    shipment_id: ShipmentId,
    shipping_method: &'a str,
    callback_url: &'a str,
}

impl Carrier {
    /// None when this deployment has no carrier.
    pub(crate) fn from_config(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(carrier_url) = &config.carrier_url else { return Ok(None) };
        let callback_url =
            config.carrier_callback_url.clone().context("MAKEGOOD_CARRIER_URL needs MAKEGOOD_CARRIER_CALLBACK_URL")?;
        let client =
            reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().context("building the carrier's client")?;
        let shipments_url = format!("{}/carrier/v1/shipments", carrier_url.trim_end_matches('/'));
        Ok(Some(Self { client, shipments_url, callback_url }))
    }

    /// Offers shipments. Errs when nothing is known about what became of them; offering them again is harmless.
    pub(crate) async fn offer(&self, shipments: &[OfferedShipment]) -> anyhow::Result<Answer> {
        let offer = Offer { shipments: shipments.iter().map(|offered| self.shipment(offered)).collect() };
        let response = self
            .client
            .post(&self.shipments_url)
            .json(&offer)
            .send()
            .await
            .context("offering shipments to the carrier")?;
        let status = response.status();
        let worth_repeating = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        if status.is_success() && is_web_page(&response) {
            anyhow::bail!("the carrier answered {status} with a web page: that is the word of something in between")
        } else if status.is_success() {
            Ok(Answer::Accepted)
        } else if status.is_client_error() && !worth_repeating {
            Ok(Answer::Refused(refusal(response).await))
        } else {
            anyhow::bail!("the carrier answered {status}")
        }
    }

    fn shipment<'a>(&'a self, offered: &'a OfferedShipment) -> Shipment<'a> {
        Shipment {
            shipment_id: offered.id,
            shipping_method: &offered.shipping_method,
            callback_url: &self.callback_url,
        }
    }
}

/// As a proxy sends one while the carrier is under maintenance. Whoever takes it for a yes has parcels that nobody fetches.
fn is_web_page(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// The status, and the beginning of what is said to it. Control characters are left out: it is shown to people.
async fn refusal(mut response: reqwest::Response) -> String {
    let status = response.status();
    // Without its text the status has to say enough.
    let Ok(Some(text)) = response.chunk().await else { return status.to_string() };
    let text = String::from_utf8_lossy(&text);
    let told: String = text.chars().filter(|c| !c.is_control()).take(REFUSAL_CHARS).collect();
    format!("{status}: {told}")
}
