//! The commands that this binary's own participants do. Each service registers its own; a shop's participants are named to
//! `makegood saga check` in a file.

use makegood_contracts::{cart, fulfillment, inventory, order, order_return, payment};
use makegood_saga::definition::Known;

const ACTIONS: &[&str] = &[
    cart::LOCK_CART,
    cart::CLOSE_CART,
    inventory::HOLD_STOCK,
    inventory::ALLOCATE_STOCK,
    inventory::COMMIT_STOCK,
    inventory::RESTOCK_SALE,
    inventory::RESTOCK_RETURN,
    order::OPEN_CHECKOUT,
    order::REQUIRE_ACTION,
    order::CLOSE_CHECKOUT,
    order::BEGIN_CANCEL,
    order::END_CANCEL,
    order_return::BEGIN_RETURN,
    order_return::ACCEPT_RETURN,
    order_return::END_RETURN,
    payment::AUTHORIZE_PAYMENT,
    payment::CAPTURE_PAYMENT,
    payment::REFUND_PAYMENT,
    fulfillment::CREATE_SHIPMENTS,
    fulfillment::RELEASE_SHIPMENTS,
    fulfillment::WITHDRAW_SHIPMENTS,
];

/// Those that make an action good again.
const UNDOS: &[&str] =
    &[cart::UNLOCK_CART, inventory::RELEASE_STOCK, payment::VOID_PAYMENT, fulfillment::CANCEL_SHIPMENTS];

/// What is known of a command.
pub(super) fn known(command: &str) -> Known {
    match (ACTIONS.contains(&command), UNDOS.contains(&command)) {
        (true, _) => Known::Action,
        (_, true) => Known::Undo,
        (false, false) => Known::Not,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn commands_of(service: &str) -> String {
        let file = format!("../{service}/src/commands.rs");
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).expect("the service has a list")
    }

    /// How a service's list names a command: `"hold_stock"`, or the constant `HOLD_STOCK`.
    fn registers(list: &str, verb: &str) -> bool {
        list.contains(&format!("(\"{verb}\"")) || list.contains(&format!("({})", verb.to_uppercase()))
    }

    #[test]
    fn each_is_registered_by_its_service_and_none_is_forgotten() {
        for command in ACTIONS.iter().chain(UNDOS) {
            let (service, verb) = command.split_once('.').expect("service.verb_noun");
            assert!(
                registers(&commands_of(service), verb),
                "{command} is registered in services/{service}/src/commands.rs"
            );
        }
        for undo in UNDOS {
            let (service, verb) = undo.split_once('.').expect("service.verb_noun");
            // One that calls the outside is registered as a call, whichever way it goes.
            let list = commands_of(service);
            let mut undos = list.lines().filter(|line| line.contains(".undo(") || line.contains(".call("));
            assert!(undos.any(|line| registers(line, verb)), "{undo} undoes something");
        }
        for service in ["cart", "inventory", "order", "payment", "fulfillment"] {
            let list = commands_of(service);
            let registered =
                [".action(", ".undo(", ".call("].iter().map(|call| list.matches(call).count()).sum::<usize>();
            let known =
                ACTIONS.iter().chain(UNDOS).filter(|command| command.starts_with(&format!("{service}."))).count();
            assert_eq!(known, registered, "{service}");
        }
    }
}
