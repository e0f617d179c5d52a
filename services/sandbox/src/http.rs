//! The HTTP routes of the sandbox: the card provider, the carrier, their books, and what goes wrong.

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use makegood_chassis::{batcher::Batcher, http::HttpContext};
use utoipa::OpenApi;

use crate::{
    config::Config,
    faults::FaultSwitch,
    first_cut::FirstCut,
    provider_books::{self, Failed, Taken, Wanted},
};

mod announce_shipments;
mod challenge;
mod faults;
mod list_charges;
mod merchant;
mod read_operation;
mod read_summary;
mod take_operation;

/// What the handlers share.
#[derive(Debug, Clone)]
struct SandboxHttp {
    context: HttpContext,
    config: Config,
    books: Batcher<Wanted, Result<Taken, Failed>>,
    faults: FaultSwitch,
    first_cut: FirstCut,
}

impl FromRef<SandboxHttp> for HttpContext {
    fn from_ref(state: &SandboxHttp) -> Self {
        state.context.clone()
    }
}

pub(crate) fn router(context: HttpContext, config: Config) -> Router {
    let books = provider_books::spawn_batcher(context.db.clone());
    Router::new()
        .route("/provider/v1/authorizations", post(take_operation::authorize))
        .route("/provider/v1/captures", post(take_operation::capture))
        .route("/provider/v1/voids", post(take_operation::void))
        .route("/provider/v1/refunds", post(take_operation::refund))
        .route("/provider/v1/operations/{id}", get(read_operation::read_operation))
        .route("/provider/v1/challenges/{id}", get(challenge::show_challenge).post(challenge::finish_challenge))
        .route("/carrier/v1/shipments", post(announce_shipments::announce_shipments))
        .route("/sandbox/faults", get(faults::read_faults).put(faults::put_faults))
        .route("/sandbox/books/summary", get(read_summary::read_summary))
        .route("/sandbox/books/charges", get(list_charges::list_charges))
        .with_state(SandboxHttp {
            context,
            config,
            books,
            faults: FaultSwitch::default(),
            first_cut: FirstCut::default(),
        })
}

#[derive(OpenApi)]
#[openapi(paths(
    take_operation::authorize,
    take_operation::capture,
    take_operation::void,
    take_operation::refund,
    read_operation::read_operation,
    challenge::show_challenge,
    challenge::finish_challenge,
    announce_shipments::announce_shipments,
    faults::read_faults,
    faults::put_faults,
    read_summary::read_summary,
    list_charges::list_charges
))]
struct Description;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
