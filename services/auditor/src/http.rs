//! The auditor over HTTP: all its routes on one screen.

mod get_invariants;

use axum::{Router, extract::FromRef, routing::get};
use makegood_chassis::http::HttpContext;
use utoipa::OpenApi;

use crate::{audit::Auditor, shared_audit::SharedAudit};

#[derive(Debug, Clone)]
struct AuditorState {
    context: HttpContext,
    audit: SharedAudit,
}

impl FromRef<AuditorState> for HttpContext {
    fn from_ref(state: &AuditorState) -> Self {
        state.context.clone()
    }
}

impl FromRef<AuditorState> for SharedAudit {
    fn from_ref(state: &AuditorState) -> Self {
        state.audit.clone()
    }
}

pub(crate) fn router(context: HttpContext, auditor: Auditor) -> Router {
    let state = AuditorState { context, audit: SharedAudit::new(auditor) };
    Router::new().route("/v1/admin/invariants", get(get_invariants::handle)).with_state(state)
}

#[derive(OpenApi)]
#[openapi(paths(get_invariants::handle))]
struct Api;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}
