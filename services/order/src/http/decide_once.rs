//! Decides under the caller's key, once, and tells the saga right after the commit. Whoever dies in between loses nothing: the row
//! that was written is due again in a few seconds.

use axum::response::Response;
use futures::future::BoxFuture;
use makegood_chassis::{
    idempotency::{self, Answer, Claim},
    problem::Problem,
};
use sqlx::PgConnection;
use tokio::sync::oneshot;

use super::Shared;
use crate::saga_message::{self, SagaMessages};

/// The answer, and what the saga is to be told. A refusal tells it nothing.
pub(super) type Decided = (Answer, SagaMessages);

/// `decide` runs in the key's transaction; of a call that was answered before it does not run again, and nothing is told.
pub(super) async fn decide_once<F>(shared: &Shared, claim: &Claim, decide: F) -> Result<Response, Problem>
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, Result<Decided, Problem>> + Send + 'static,
{
    let (sender, decided) = oneshot::channel();
    let response = idempotency::once(&shared.http.db, Some(claim), move |tx| {
        Box::pin(async move {
            let (answer, messages) = decide(tx).await?;
            // Nobody listens when the request was cut off; then the row is due in a few seconds.
            sender.send(messages).ok();
            Ok(answer)
        })
    })
    .await?;
    if let Ok(messages) = decided.await {
        saga_message::publish_soon(&shared.bus, messages);
    }
    Ok(response)
}

pub(super) fn refused(refusal: &Problem) -> Decided {
    (Answer::refusal(refusal), SagaMessages::default())
}
