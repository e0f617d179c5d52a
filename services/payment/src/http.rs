//! The HTTP routes of payment: the provider's callbacks, and the payments and the ledger as operators see them.

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use makegood_chassis::{callback_signature::CallbackKey, http::HttpContext};
use utoipa::OpenApi;

mod create_refund;
mod intent_json;
mod list_intents;
mod list_transfers;
mod operation_json;
mod read_balances;
mod read_intent;
mod read_summary;
mod receive_callback;
mod transfer_json;
mod void_intent;

/// What the handlers share.
#[derive(Debug, Clone)]
struct PaymentHttp {
    context: HttpContext,
    callback_key: CallbackKey,
}

impl FromRef<PaymentHttp> for HttpContext {
    fn from_ref(state: &PaymentHttp) -> Self {
        state.context.clone()
    }
}

pub(crate) fn router(context: HttpContext) -> Router {
    let callback_key = CallbackKey::shared_with("provider", &context.secret);
    Router::new()
        .route("/v1/provider/callbacks", post(receive_callback::receive_callback))
        .route("/v1/admin/payment_intents", get(list_intents::list_intents))
        .route("/v1/admin/payment_intents/{id}", get(read_intent::read_intent))
        .route("/v1/admin/payment_intents/{id}/refunds", post(create_refund::create_refund))
        .route("/v1/admin/payment_intents/{id}/void", post(void_intent::void_intent))
        .route("/v1/admin/ledger/balances", get(read_balances::read_balances))
        .route("/v1/admin/ledger/transfers", get(list_transfers::list_transfers))
        .route("/v1/admin/ledger/summary", get(read_summary::read_summary))
        .with_state(PaymentHttp { context, callback_key })
}

#[derive(OpenApi)]
#[openapi(paths(
    receive_callback::receive_callback,
    list_intents::list_intents,
    read_intent::read_intent,
    create_refund::create_refund,
    void_intent::void_intent,
    read_balances::read_balances,
    list_transfers::list_transfers,
    read_summary::read_summary
))]
struct Description;

pub(crate) fn openapi() -> utoipa::openapi::OpenApi {
    Description::openapi()
}
