//! The card provider, as its API is spoken: one request an operation, under the operation's id.
//!
//! The provider keeps an operation by its id for ever, so that sending it twice takes effect once; still, an
//! operation that may have been sent before is asked for first. Whatever is no clear answer (a timeout, a 5xx, a cut connection,
//! a body that cannot be read) is [`Said::Unknown`]: it is never read as a no.

mod wire;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;

use crate::{
    config::Config,
    operation::{Operation, Said},
    settlement::Verdict,
    store::Intent,
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// An idle connection is kept this long: longer than the pauses of a shop that sells.
const IDLE_CONNECTION: Duration = Duration::from_secs(90);
/// `type` of the provider's 404 for an operation that it never saw. Any other 404 may come from something in between.
const NEVER_SEEN: &str = "/operation-unknown";

/// An operation to be carried out at the provider.
#[derive(Debug, Clone)]
pub struct Errand {
    pub operation: Operation,
    pub intent: Intent,
    /// It may have been sent before.
    pub ask_first: bool,
}

/// The client; clones share its connections and its bound.
#[derive(Clone)]
pub struct Provider {
    http: reqwest::Client,
    base: String,
    in_flight: Arc<Semaphore>,
    max_in_flight: usize,
}

impl Provider {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let key = config.provider_key.as_ref().context("MAKEGOOD_PROVIDER_KEY is not set")?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose())).context("MAKEGOOD_PROVIDER_KEY")?;
        bearer.set_sensitive(true);
        let max_in_flight = usize::try_from(config.provider_in_flight)?;
        let http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]))
            .timeout(Duration::from_secs(config.provider_timeout_seconds.into()))
            .pool_max_idle_per_host(max_in_flight)
            .pool_idle_timeout(IDLE_CONNECTION)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .context("building the provider's HTTP client")?;
        let base = format!("{}/provider/v1", config.provider_url.trim_end_matches('/'));
        Ok(Self { http, base, in_flight: Arc::new(Semaphore::new(max_in_flight)), max_in_flight })
    }

    /// Carries out errands, many at once; the answers are in their order. Never inside a transaction.
    pub async fn carry_out(&self, errands: Vec<Errand>) -> Vec<Verdict> {
        stream::iter(errands).map(|errand| self.carry_out_one(errand)).buffered(self.max_in_flight).collect().await
    }

    async fn carry_out_one(&self, Errand { operation, intent, ask_first }: Errand) -> Verdict {
        let said = match self.in_flight.acquire().await {
            Ok(_permit) => self.ask_or_send(&operation, &intent, ask_first).await,
            Err(closed) => Said::Unknown { why: closed.to_string() },
        };
        if let Said::Unknown { why } = &said {
            tracing::warn!(operation_id = %operation.id, kind = operation.kind.as_str(), why, "the provider gave no clear answer");
        }
        Verdict { operation, intent, said }
    }

    async fn ask_or_send(&self, operation: &Operation, intent: &Intent, ask_first: bool) -> Said {
        if ask_first {
            match self.ask(operation).await {
                Ok(Some(said)) => return said,
                Ok(None) => {}
                Err(error) => return Said::Unknown { why: format!("{error:#}") },
            }
        }
        self.send(operation, intent).await.unwrap_or_else(|error| Said::Unknown { why: format!("{error:#}") })
    }

    /// What the provider knows of an operation; none if it never saw it.
    async fn ask(&self, operation: &Operation) -> anyhow::Result<Option<Said>> {
        let response = self.http.get(format!("{}/operations/{}", self.base, operation.id)).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        if status == StatusCode::NOT_FOUND {
            let problem: wire::Problem = serde_json::from_slice(&body).context("a 404 that is not the provider's")?;
            anyhow::ensure!(
                problem.kind.ends_with(NEVER_SEEN),
                "a 404 that is not about the operation: {}",
                problem.kind
            );
            return Ok(None);
        }
        wire::read(operation, status, &body).map(Some)
    }

    async fn send(&self, operation: &Operation, intent: &Intent) -> anyhow::Result<Said> {
        let (path, body) = wire::request(operation, intent)?;
        let response = self
            .http
            .post(format!("{}/{path}", self.base))
            .header(IDEMPOTENCY_KEY, operation.id.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await?;
        let status = response.status();
        wire::read(operation, status, &response.bytes().await?)
    }
}
