//! What several endpoints answer with, beside the stored answers of keys (`chassis::idempotency::Answer`).

use std::{sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};
use makegood_chassis::problem::Problem;
use uuid::Uuid;

use super::{Shared, checkout_json::CheckoutJson};
use crate::checkout_row::CheckoutRow;

pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The checkout as it has become, for a caller who preferred to wait.
pub(super) fn waited(shared: &Shared, row: &CheckoutRow, status: StatusCode) -> Result<Response, Problem> {
    let json = axum::Json(CheckoutJson::of(row, &shared.http.secret)?);
    Ok((status, [(PREFERENCE_APPLIED, HeaderValue::from_static("wait"))], json).into_response())
}

/// Says of a response that it repeats what another request has brought about.
pub(super) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

impl Shared {
    /// Waits for a caller who prefers to; a process that is about to end does not make its callers wait.
    pub(super) async fn wait(
        &self,
        id: Uuid,
        limit: Duration,
        enough: impl Fn(&CheckoutRow) -> bool,
    ) -> Option<Arc<CheckoutRow>> {
        let waiting = self.waiting.until(id, limit, enough);
        self.http.shutdown.token.run_until_cancelled(waiting).await.flatten()
    }
}
