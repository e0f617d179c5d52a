//! What the order service tells the orchestrator: start a checkout's saga, hand it the confirmation, call it off.
//!
//! Each may be told any number of times. The checkout's row is the outbox: what it says is published at
//! once after its commit, and again by `checkout_resending.rs` until the saga shows that it knows.

use makegood_contracts::{
    account::Account,
    id::OrderId,
    money::Money,
    orchestrator::{CANCEL_SAGA, CancelSaga, SIGNAL_SAGA, START_SAGA, SignalSaga, StartSaga},
    order::{CHECKOUT_SAGA, CONFIRMATION, CheckoutInput, Confirmation},
    subject,
};
use makegood_messaging::bus::Bus;
use serde_json::{Map, Value};
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

/// What a buyer asked for: as it is written down, and as the saga is started with it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct RequestedCheckout {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) livemode: bool,
    pub(crate) cart_id: Uuid,
    pub(crate) email: String,
    pub(crate) shipping_address: Value,
    pub(crate) shipping_method: String,
    pub(crate) expected_total: Option<Json<Money>>,
    pub(crate) reference: Option<String>,
    pub(crate) confirmed_in_call: bool,
    pub(crate) confirmation: Option<Json<Confirmation>>,
    pub(crate) traceparent: Option<String>,
}

/// Messages that wait to be published, by kind. Starts go first: a signal to an unknown saga has no effect.
#[derive(Debug, Default)]
pub(crate) struct SagaMessages {
    pub(crate) starts: Vec<StartSaga>,
    pub(crate) signals: Vec<SignalSaga>,
    pub(crate) cancels: Vec<CancelSaga>,
}

impl SagaMessages {
    pub(crate) fn append(&mut self, mut others: Self) {
        self.starts.append(&mut others.starts);
        self.signals.append(&mut others.signals);
        self.cancels.append(&mut others.cancels);
    }
}

/// What each row of an outbox has to tell. A row that cannot be read holds up no other: it is logged, and due again at its next timer.
pub(crate) fn of_rows<R>(rows: &[PgRow], messages: impl Fn(&R) -> anyhow::Result<SagaMessages>) -> SagaMessages
where
    R: for<'row> FromRow<'row, PgRow>,
{
    let mut all = SagaMessages::default();
    for row in rows {
        match R::from_row(row).map_err(anyhow::Error::from).and_then(|read| messages(&read)) {
            Ok(told) => all.append(told),
            Err(error) => tracing::error!(
                id = row.try_get::<Uuid, _>("id").map_or_else(|error| error.to_string(), |id| id.to_string()),
                error = format!("{error:#}"),
                "what a saga is to be told cannot be read; it is tried again later"
            ),
        }
    }
    all
}

/// The start of a checkout's saga, with the confirmation along if it came in the same call.
pub(crate) fn start(requested: &RequestedCheckout) -> anyhow::Result<StartSaga> {
    let input = CheckoutInput {
        account: Account { id: requested.account_id, livemode: requested.livemode },
        checkout_id: requested.id,
        order_id: requested.order_id,
        cart_id: requested.cart_id,
        email: requested.email.clone(),
        shipping_method: requested.shipping_method.clone(),
        shipping_address: requested.shipping_address.clone(),
        expected_total: requested.expected_total.as_ref().map(|total| total.0),
        reference: requested.reference.clone(),
        confirmed: requested.confirmed_in_call,
    };
    let mut signals = Map::new();
    if let (true, Some(confirmation)) = (requested.confirmed_in_call, &requested.confirmation) {
        signals.insert(CONFIRMATION.to_owned(), serde_json::to_value(&confirmation.0)?);
    }
    Ok(StartSaga {
        saga_id: requested.id,
        definition: CHECKOUT_SAGA.to_owned(),
        reference: OrderId::from_uuid(requested.order_id).to_string(),
        customer: Some(requested.email.clone()),
        input: serde_json::to_value(input)?,
        signals,
        traceparent: requested.traceparent.clone(),
    })
}

/// The buyer's confirmation.
pub(crate) fn confirmation(checkout: Uuid, confirmation: &Confirmation) -> anyhow::Result<SignalSaga> {
    Ok(SignalSaga { saga_id: checkout, signal: CONFIRMATION.to_owned(), payload: serde_json::to_value(confirmation)? })
}

/// The caller's cancellation.
pub(crate) fn cancellation(checkout: Uuid) -> CancelSaga {
    CancelSaga {
        saga_id: checkout,
        code: "cancelled".to_owned(),
        detail: "The checkout was cancelled by its caller.".to_owned(),
    }
}

/// Publishes all of it and waits for the acks.
pub(crate) async fn publish(bus: &Bus, messages: &SagaMessages) -> anyhow::Result<()> {
    bus.publish_all(&subject::command(START_SAGA), &messages.starts).await?;
    bus.publish_all(&subject::command(SIGNAL_SAGA), &messages.signals).await?;
    bus.publish_all(&subject::command(CANCEL_SAGA), &messages.cancels).await
}

/// Publishes right after a commit, on a task of its own so that no caller waits for the broker. If it fails,
/// nothing is lost: the rows are due again in a few seconds.
pub(crate) fn publish_soon(bus: &Bus, messages: SagaMessages) {
    let bus = bus.clone();
    tokio::spawn(async move {
        if let Err(error) = publish(&bus, &messages).await {
            tracing::warn!(error = format!("{error:#}"), "the saga is told later");
        }
    });
}
