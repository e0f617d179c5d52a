//! The one list of what a saga may ask of a cart.

use makegood_contracts::cart::{CLOSE_CART, LOCK_CART, UNLOCK_CART};
use makegood_messaging::{participant::Participant, worker::Worker};

mod close_cart;
mod lock_cart;
mod unlock_cart;

/// This service's name in subjects, consumers and logs.
pub(crate) const SERVICE: &str = "cart";

pub(crate) fn participant(worker: Worker) -> Participant {
    Participant::new(SERVICE, worker)
        .action(verb(LOCK_CART), lock_cart::handle)
        .undo(verb(UNLOCK_CART), unlock_cart::handle)
        .action(verb(CLOSE_CART), close_cart::handle)
}

/// `lock_cart` of `cart.lock_cart`.
fn verb(command: &'static str) -> &'static str {
    command.split_once('.').map_or(command, |(_, verb)| verb)
}
