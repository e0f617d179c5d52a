//! The admin API as an operator's commands call it.

use std::{fmt, time::Duration};

use anyhow::Context as _;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    api::{Answer, Api, Request},
    deployment::DeploymentArgs,
    output::Output,
    terminal::print_json,
};
use crate::progress;

/// A rolling restart is over sooner; past it, a person wants to know rather than wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// Sagas a request, when many are wanted: the API's bound.
const LARGEST_PAGE: usize = 200;

/// Where the deployment is, and the operator's key.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Access {
    /// Address of the API; without it `dev.env` in `.makegood/` (or $MAKEGOOD_HOME) is read
    #[arg(long, env = "MAKEGOOD_URL")]
    url: Option<String>,
    /// Admin key
    #[arg(long, env = "MAKEGOOD_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<String>,
}

/// The API, with an operator's key.
#[derive(Debug)]
pub(crate) struct Admin {
    api: Api,
    key: String,
    /// As JSON, a refusal is written to standard output as its problem document (RFC 9457), beside what is told to people.
    output: Output,
}

impl Admin {
    pub(crate) fn open(access: Access, output: Output) -> anyhow::Result<Self> {
        let Access { url, admin_key } = access;
        let given =
            DeploymentArgs { url, admin_key, secret_key: None, database_url: None, nats_url: None, secret: None };
        let deployment = given.resolve()?;
        let api = Api::new(deployment.url()?, CancellationToken::new())?.with_patience(PATIENCE);
        Ok(Self { api, key: deployment.admin_key()?.to_owned(), output })
    }

    /// Reads; a refusal is an error.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call(Request::get(path, &self.key)).await
    }

    /// Asks for a change, once however often the request must be sent.
    pub(crate) async fn post(&self, path: &str, body: &Value, if_match: Option<&str>) -> anyhow::Result<Value> {
        let key = uuid::Uuid::now_v7().to_string();
        Ok(self.call(Request::post(path, &self.key, body).keyed(&key).matching(if_match)).await?.body)
    }

    async fn call(&self, request: Request<'_>) -> anyhow::Result<Answer> {
        let doing = format!("waiting for the answer of {} {}", request.method, request.path);
        let answer = progress::step(&doing, self.api.call(request)).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        if self.output == Output::Json {
            print_json(&answer.body)?;
        }
        Err(Refusal(answer).into())
    }

    /// One page: its rows, and where the next one begins.
    pub(crate) async fn page(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Page> {
        let answer = self.get(&with_query(path, query)?).await?;
        read(answer.body).with_context(|| format!("reading a page of {path}"))
    }

    /// Rows of as many pages as it takes, `limit` of them at most, and whether there are more.
    pub(crate) async fn rows(
        &self,
        path: &str,
        query: &[(&'static str, String)],
        limit: usize,
    ) -> anyhow::Result<(Vec<Value>, bool)> {
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", (limit - rows.len()).clamp(1, LARGEST_PAGE).to_string()));
            query.extend(after.map(|after| ("after", after)));
            let page = self.page(path, &query).await?;
            rows.extend(page.data);
            after = page.next;
            if after.is_none() || rows.len() >= limit {
                return Ok((rows, after.is_some()));
            }
        }
    }
}

/// As every list of the API answers.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Page {
    pub(crate) data: Vec<Value>,
    pub(crate) next: Option<String>,
}

/// What was answered, in the form that this build knows.
pub(crate) fn read<T: DeserializeOwned>(answer: Value) -> anyhow::Result<T> {
    serde_json::from_value(answer)
        .context("the deployment answers in a form that this makegood does not know; are they of one release?")
}

/// The path with its query, encoded.
fn with_query(path: &str, query: &[(&str, String)]) -> anyhow::Result<String> {
    // Only path and query are of interest, and a URL cannot do without a host.
    let mut url =
        Url::parse("http://makegood").and_then(|url| url.join(path)).with_context(|| format!("the path {path}"))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    })
}

/// A problem document, told to a person.
#[derive(Debug)]
pub(crate) struct Refusal(Answer);

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(answer) = self;
        let told = |field: &str| answer.body[field].as_str();
        match (told("title"), told("detail")) {
            (Some(title), Some(detail)) => write!(f, "{title}: {detail}")?,
            (Some(told), None) | (None, Some(told)) => write!(f, "{told}")?,
            (None, None) => write!(f, "the request was refused without a reason")?,
        }
        write!(f, " ({} {})", answer.status.as_u16(), answer.problem())?;
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                write!(f, "\nThis takes an admin key of that deployment: MAKEGOOD_ADMIN_KEY, or --admin-key")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_people_type_cannot_become_another_parameter() {
        assert_eq!(with_query("/v1/admin/sagas", &[]).expect("a path"), "/v1/admin/sagas");
        let query = [("customer", "ann & bob@example.com".to_owned()), ("limit", "5".to_owned())];
        assert_eq!(
            with_query("/v1/admin/sagas", &query).expect("a path"),
            "/v1/admin/sagas?customer=ann+%26+bob%40example.com&limit=5"
        );
    }

    #[test]
    fn a_refusal_tells_title_and_detail_and_what_it_takes() {
        let refusal = |status, body| Refusal(Answer { status, body, etag: None }).to_string();
        let told = json!({"type": "https://makegood.dev/problems/saga-not-possible", "title": "The saga cannot do that now", "detail": "it has ended"});
        assert_eq!(
            refusal(StatusCode::CONFLICT, told),
            "The saga cannot do that now: it has ended (409 saga-not-possible)"
        );
        assert!(refusal(StatusCode::FORBIDDEN, json!({"title": "Forbidden"})).contains("MAKEGOOD_ADMIN_KEY"));
        assert_eq!(
            refusal(StatusCode::BAD_REQUEST, json!("")),
            "the request was refused without a reason (400 http-400)"
        );
    }
}
