//! The roles: the one place that lists what this binary can be.

mod settings;

use anyhow::Result;
use axum::Router;
use makegood_auditor::Auditor;
use makegood_chassis::{config::Config, http::HttpContext, secret::Secret};
use makegood_messaging::{bus::Bus, worker::Worker};
use sqlx::migrate::Migrator;
use utoipa::openapi::OpenApi;

use crate::verify::promises;

pub(crate) use self::settings::Settings;

/// A service, or one of the two that stand beside them: the outside world's stand-in and the auditor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Order,
    Cart,
    Catalog,
    Inventory,
    Payment,
    Fulfillment,
    Orchestrator,
    Sandbox,
    Auditor,
}

impl Role {
    pub(crate) const ALL: [Self; 9] = [
        Self::Order,
        Self::Cart,
        Self::Catalog,
        Self::Inventory,
        Self::Payment,
        Self::Fulfillment,
        Self::Orchestrator,
        Self::Sandbox,
        Self::Auditor,
    ];

    /// As on the command line, and in `makegood_<name>`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Cart => "cart",
            Self::Catalog => "catalog",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Fulfillment => "fulfillment",
            Self::Orchestrator => "orchestrator",
            Self::Sandbox => "sandbox",
            Self::Auditor => "auditor",
        }
    }

    /// The auditor keeps nothing, so it has no database of its own.
    pub(crate) fn migrator(self) -> Option<&'static Migrator> {
        match self {
            Self::Order => Some(&makegood_order::MIGRATOR),
            Self::Cart => Some(&makegood_cart::MIGRATOR),
            Self::Catalog => Some(&makegood_catalog::MIGRATOR),
            Self::Inventory => Some(&makegood_inventory::MIGRATOR),
            Self::Payment => Some(&makegood_payment::MIGRATOR),
            Self::Fulfillment => Some(&makegood_fulfillment::MIGRATOR),
            Self::Orchestrator => Some(&makegood_orchestrator::MIGRATOR),
            Self::Sandbox => Some(&makegood_sandbox::MIGRATOR),
            Self::Auditor => None,
        }
    }

    pub(crate) fn openapi(self) -> OpenApi {
        match self {
            Self::Order => makegood_order::openapi(),
            Self::Cart => makegood_cart::openapi(),
            Self::Catalog => makegood_catalog::openapi(),
            Self::Inventory => makegood_inventory::openapi(),
            Self::Payment => makegood_payment::openapi(),
            Self::Fulfillment => makegood_fulfillment::openapi(),
            Self::Orchestrator => makegood_orchestrator::openapi(),
            Self::Sandbox => makegood_sandbox::openapi(),
            Self::Auditor => makegood_auditor::openapi(),
        }
    }

    /// What it serves. Called inside the runtime that will serve it.
    pub(crate) fn router(self, http: HttpContext, bus: Bus, config: &Config, settings: &Settings) -> Router {
        match self {
            Self::Order => makegood_order::router(http, bus, &settings.order),
            Self::Cart => makegood_cart::router(http),
            Self::Catalog => makegood_catalog::router(http),
            Self::Inventory => makegood_inventory::router(http),
            Self::Payment => makegood_payment::router(http),
            Self::Fulfillment => makegood_fulfillment::router(http),
            Self::Orchestrator => makegood_orchestrator::router(http, bus, &settings.orchestrator),
            Self::Sandbox => makegood_sandbox::router(http, settings.sandbox.clone()),
            Self::Auditor => makegood_auditor::router(http, Auditor::new(config.clone(), promises())),
        }
    }

    /// Its background work, until shutdown. The auditor works only when asked.
    pub(crate) async fn run(self, worker: Worker, secret: Secret, settings: Settings) -> Result<()> {
        match self {
            Self::Order => makegood_order::run(worker, settings.order).await,
            Self::Cart => makegood_cart::run(worker, settings.cart).await,
            Self::Catalog => makegood_catalog::run(worker, settings.catalog).await,
            Self::Inventory => makegood_inventory::run(worker, settings.inventory).await,
            Self::Payment => makegood_payment::run(worker, settings.payment).await,
            Self::Fulfillment => makegood_fulfillment::run(worker, settings.fulfillment).await,
            Self::Orchestrator => makegood_orchestrator::run(worker, settings.orchestrator).await,
            Self::Sandbox => makegood_sandbox::run(worker, secret, settings.sandbox).await,
            Self::Auditor => Ok(()),
        }
    }
}

/// `all`, or names of roles; each at most once.
pub(crate) fn parse(names: &[String]) -> Result<Vec<Role>> {
    if names.iter().any(|name| name == "all") {
        return Ok(Role::ALL.to_vec());
    }
    let mut roles = names.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

fn find(name: &str) -> Result<Role> {
    Role::ALL.into_iter().find(|role| role.name() == name).ok_or_else(|| {
        let known = Role::ALL.map(Role::name).join(", ");
        anyhow::anyhow!("there is no role `{name}`; the roles are {known}, and `all`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_once_each_or_all_at_once() {
        let parsed = |names: &[&str]| parse(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(parsed(&["cart", "order", "cart"]).expect("parses"), [Role::Order, Role::Cart]);
        assert_eq!(parsed(&["all"]).expect("parses"), Role::ALL);
        assert!(parsed(&["carts"]).is_err());
    }
}
