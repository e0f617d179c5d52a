//! The commands by which the order service takes part in the sagas of its checkouts, cancellations and returns: the
//! one list.

mod accept_return;
mod begin_cancel;
mod begin_return;
mod close_checkout;
mod end_cancel;
mod end_return;
mod open_checkout;
mod require_action;

use makegood_contracts::{
    order::{BEGIN_CANCEL, CLOSE_CHECKOUT, END_CANCEL, OPEN_CHECKOUT, REQUIRE_ACTION},
    order_return::{ACCEPT_RETURN, BEGIN_RETURN, END_RETURN},
};
use makegood_messaging::{participant::Participant, worker::Worker};

use crate::waiting;

/// The service's name on the wire: of its commands, its consumers and its database.
pub(crate) const SERVICE: &str = "order";

pub(crate) fn participant(worker: Worker) -> Participant {
    Participant::new(SERVICE, worker)
        .action(verb(OPEN_CHECKOUT), open_checkout::handle)
        .action(verb(REQUIRE_ACTION), require_action::handle)
        .action(verb(CLOSE_CHECKOUT), close_checkout::handle)
        .action(verb(BEGIN_CANCEL), begin_cancel::handle)
        .action(verb(END_CANCEL), end_cancel::handle)
        .action(verb(BEGIN_RETURN), begin_return::handle)
        .action(verb(ACCEPT_RETURN), accept_return::handle)
        .action(verb(END_RETURN), end_return::handle)
        .after_commit(waiting::hint)
}

/// `open_checkout` of `order.open_checkout`.
fn verb(command: &'static str) -> &'static str {
    command.split_once('.').map_or(command, |(_, verb)| verb)
}

#[cfg(test)]
pub(crate) mod tests;
