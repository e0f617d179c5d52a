//! The id in the path: a saga's, or the checkout's, the cancellation's or the return's that it belongs to, which is the same
//! UUID.

use makegood_chassis::problem::Problem;
use makegood_contracts::id::{CancellationId, CheckoutId, ReturnId, SagaId};
use uuid::Uuid;

pub(super) fn parse(text: &str) -> Result<Uuid, Problem> {
    let saga = text.parse::<SagaId>().map(|id| id.uuid());
    let saga = saga.or_else(|_| text.parse::<CheckoutId>().map(|id| id.uuid()));
    let saga = saga.or_else(|_| text.parse::<CancellationId>().map(|id| id.uuid()));
    saga.or_else(|_| text.parse::<ReturnId>().map(|id| id.uuid())).map_err(|_| Problem::not_found("saga", text))
}
