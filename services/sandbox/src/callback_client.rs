//! Posts signed callbacks. Only a 2xx is success; redirects are not followed, proxies not used.

use std::time::Duration;

use anyhow::Context as _;
use http::header;
use makegood_chassis::{callback_signature::CallbackKey, clock::DbClock};

/// A receiver that takes longer is sent the same again later.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The sending side of one partner's callbacks; clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct CallbackClient {
    http: reqwest::Client,
    signature_header: &'static str,
    key: CallbackKey,
    clock: DbClock,
}

impl CallbackClient {
    pub(crate) fn new(signature_header: &'static str, key: CallbackKey, clock: DbClock) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("building the callbacks' HTTP client")?;
        Ok(Self { http, signature_header, key, clock })
    }

    /// Sends once; an error is anything but a 2xx.
    pub(crate) async fn post(&self, url: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let signature = self.key.sign(&body, self.clock.now());
        let response = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header(self.signature_header, signature)
            .body(body)
            .send()
            .await?;
        anyhow::ensure!(response.status().is_success(), "the receiver answered {}", response.status());
        Ok(())
    }
}
