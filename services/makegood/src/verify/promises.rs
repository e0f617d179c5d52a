//! What each service promises of its own database: the one list, for `verify` and for the auditor's role.

use makegood_auditor::ServicePromises;

pub(crate) fn promises() -> Vec<ServicePromises> {
    vec![
        ServicePromises { service: "orchestrator", invariants: makegood_orchestrator::invariants() },
        ServicePromises { service: "order", invariants: makegood_order::invariants() },
        ServicePromises { service: "cart", invariants: makegood_cart::invariants() },
        ServicePromises { service: "catalog", invariants: makegood_catalog::invariants() },
        ServicePromises { service: "inventory", invariants: makegood_inventory::invariants() },
        ServicePromises { service: "payment", invariants: makegood_payment::invariants() },
        ServicePromises { service: "fulfillment", invariants: makegood_fulfillment::invariants() },
        ServicePromises { service: "sandbox", invariants: makegood_sandbox::invariants() },
    ]
}
