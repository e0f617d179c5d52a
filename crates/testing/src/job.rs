//! Commands as a participant hands them to a handler.

use makegood_contracts::{
    account::Account,
    command::{Direction, StepKey},
};
use makegood_messaging::participant::Job;
use uuid::Uuid;

/// The shop that tests belong to.
pub const SHOP: Account = Account { id: Uuid::from_u128(0x5409), livemode: false };

/// A step's action with its input.
pub fn job<I>(saga_id: Uuid, step: &str, input: I) -> Job<I> {
    let key = StepKey { saga_id, step: step.to_owned(), direction: Direction::Do };
    Job { key, attempt: 1, traceparent: None, reply_to: "reply.0".to_owned(), input }
}
