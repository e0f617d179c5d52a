//! One call of the API: repeated under its key until it has an answer.
//!
//! A broken connection, an overload (429, 503), a server's fault (5xx) and a key in use elsewhere (409 with Retry-After)
//! say nothing about the effect, so the same request is sent again; its Idempotency-Key makes that harmless.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A held answer takes up to 30 s (`Prefer: wait=30`), a parked duplicate 20 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(75);
/// A rolling restart or a failover of PostgreSQL is over long before; past it somebody has to look.
const USUAL_PATIENCE: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The API as one caller sees it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
    patience: Duration,
    /// Once cancelled, calls in trouble give up instead of waiting.
    stop: CancellationToken,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) api_key: &'a str,
    pub(crate) idempotency_key: Option<&'a str>,
    /// The entity tag of what the caller saw; another one by now is 412.
    pub(crate) if_match: Option<&'a str>,
    /// Holds the answer until it is final, 30 s at most.
    pub(crate) wait: bool,
    pub(crate) body: Option<&'a Value>,
}

impl<'a> Request<'a> {
    pub(crate) fn get(path: &'a str, api_key: &'a str) -> Self {
        Self { method: Method::GET, path, api_key, idempotency_key: None, if_match: None, wait: false, body: None }
    }

    pub(crate) fn post(path: &'a str, api_key: &'a str, body: &'a Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::get(path, api_key) }
    }

    pub(crate) fn put(path: &'a str, api_key: &'a str, body: &'a Value) -> Self {
        Self { method: Method::PUT, ..Self::post(path, api_key, body) }
    }

    pub(crate) fn keyed(self, idempotency_key: &'a str) -> Self {
        Self { idempotency_key: Some(idempotency_key), ..self }
    }

    pub(crate) fn matching(self, if_match: Option<&'a str>) -> Self {
        Self { if_match, ..self }
    }

    pub(crate) fn waiting(self) -> Self {
        Self { wait: true, ..self }
    }
}

/// A decided answer: 2xx or a refusal.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// The version of what was read, as `If-Match` wants it back.
    pub(crate) etag: Option<String>,
}

impl Answer {
    /// `out-of-stock` of `https://makegood.dev/problems/out-of-stock`; the status where there is no such type.
    pub(crate) fn problem(&self) -> String {
        let kind = self.body["type"].as_str().and_then(|kind| kind.rsplit('/').next()).filter(|kind| !kind.is_empty());
        kind.map_or_else(|| format!("http-{}", self.status.as_u16()), str::to_owned)
    }

    /// The body, or an error that shows what was refused.
    pub(crate) fn success(self, doing: &str) -> anyhow::Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        anyhow::bail!(
            "{doing}: {} {}: {}",
            self.status.as_u16(),
            self.problem(),
            self.body["detail"].as_str().unwrap_or("no detail")
        )
    }
}

impl Api {
    pub(crate) fn new(url: &str, stop: CancellationToken) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .pool_max_idle_per_host(256)
            .build()
            .context("making an HTTP client")?;
        Ok(Self { http, url: url.to_owned(), patience: USUAL_PATIENCE, stop })
    }

    /// The same, giving up sooner: a person waits for the answer.
    pub(crate) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends until there is an answer; an error means that there was none for as long
    /// as our patience lasts, or that we were stopped.
    pub(crate) async fn call(&self, request: Request<'_>) -> anyhow::Result<Answer> {
        let body = request.body.map(serde_json::to_vec).transpose()?;
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let trouble = match self.attempt(&request, body.as_deref()).await {
                Ok(Attempt::Answered(answer)) => return Ok(answer),
                Ok(Attempt::Later { after, why }) => {
                    pause = pause.max(after.min(LONGEST_PAUSE));
                    anyhow::anyhow!(why)
                }
                Err(error) => anyhow::Error::from(error),
            };
            let doing = || format!("{} {}", request.method, request.path);
            if begun.elapsed() + pause > self.patience {
                return Err(trouble.context(format!("gave up after {} s", begun.elapsed().as_secs())))
                    .with_context(doing);
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(trouble.context("stopped while trying again")).with_context(doing),
                () = tokio::time::sleep(jittered(pause)) => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn attempt(&self, request: &Request<'_>, body: Option<&[u8]>) -> reqwest::Result<Attempt> {
        let mut builder = self
            .http
            .request(request.method.clone(), format!("{}{}", self.url, request.path))
            .bearer_auth(request.api_key);
        if let Some(key) = request.idempotency_key {
            builder = builder.header("Idempotency-Key", key);
        }
        if let Some(tag) = request.if_match {
            builder = builder.header(header::IF_MATCH, tag);
        }
        if request.wait {
            builder = builder.header("Prefer", "wait=30");
        }
        if let Some(body) = body {
            builder = builder.header(header::CONTENT_TYPE, "application/json").body(body.to_vec());
        }
        let response = builder.send().await?;
        let status = response.status();
        let told = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let after = told(header::RETRY_AFTER).and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let etag = told(header::ETAG).map(str::to_owned);
        let text = response.text().await?;
        let in_use = status == StatusCode::CONFLICT && after.is_some();
        if in_use || status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let why = format!("{}: {}", status, text.chars().take(300).collect::<String>());
            return Ok(Attempt::Later { after: after.unwrap_or_default(), why });
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Attempt::Answered(Answer { status, body, etag }))
    }
}

enum Attempt {
    Answered(Answer),
    Later { after: Duration, why: String },
}

/// Between half and all of the pause, so that callers do not come back in step. A v7 UUID's last bits are random.
fn jittered(pause: Duration) -> Duration {
    let share = (uuid::Uuid::now_v7().as_u128() & 0xffff) as f64 / 65_535.0;
    pause.mul_f64(0.5 + share / 2.0)
}
