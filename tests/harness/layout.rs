//! Which role serves which path: what one address in front of them does in production.

/// As `makegood serve` names them.
pub(crate) const ROLES: [&str; 9] =
    ["order", "cart", "catalog", "inventory", "payment", "fulfillment", "orchestrator", "sandbox", "auditor"];

/// The first prefix that fits decides.
const SERVED_BY: [(&str, &str); 18] = [
    ("/v1/checkouts", "order"),
    ("/v1/orders", "order"),
    ("/v1/returns", "order"),
    ("/v1/carts", "cart"),
    ("/v1/products", "catalog"),
    ("/v1/availability", "inventory"),
    ("/v1/admin/warehouses", "inventory"),
    ("/v1/admin/stock", "inventory"),
    ("/v1/admin/holds", "inventory"),
    ("/v1/admin/ledger", "payment"),
    ("/v1/admin/payment_intents", "payment"),
    ("/v1/provider", "payment"),
    ("/v1/carrier", "fulfillment"),
    ("/v1/admin/shipments", "fulfillment"),
    ("/v1/admin/sagas", "orchestrator"),
    ("/v1/admin/bulk_operations", "orchestrator"),
    ("/v1/admin/audit", "orchestrator"),
    ("/v1/admin/invariants", "auditor"),
];

/// The sandbox speaks other people's protocols, so whatever is not ours is the sandbox's.
pub(crate) fn role_of(path: &str) -> &'static str {
    SERVED_BY.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("sandbox", |(_, role)| role)
}
