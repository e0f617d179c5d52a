//! What readiness is made of: checked in the background, so that a probe never causes a query.

use std::time::Duration;

use anyhow::Result;
use futures::future::{join_all, try_join_all};
use makegood_chassis::{
    database::{self, Purpose},
    ops::{self, Check, Health},
};
use makegood_messaging::bus::Bus;
use sqlx::{PgPool, migrate::Migrator};
use tokio::net::TcpListener;

use super::Process;
use crate::roles::Role;

/// A platform takes an unready process out of service after a few probes of some seconds each.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// Whoever waits for a start, or for the end of an outage, should not wait for us.
const CHECK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// One role's database, and where the result goes.
struct Database {
    role: Role,
    db: PgPool,
    migrator: &'static Migrator,
    check: Check,
}

/// Serves the operations port, also while everything else is still waiting for its servers, and to the very end.
pub(super) async fn serve(listener: TcpListener, process: Process) {
    let health = Health::of_process();
    health.drain_with(process.shutdown.clone());
    // Set by the HTTP server, once all its routes are there; until then it fails.
    let _ = health.check(super::http_server::CHECK);
    // A definition that has changed though it was released ends the process: not before it has told everybody that it is well.
    if process.roles.contains(&Role::Orchestrator) {
        let _ = health.check(makegood_orchestrator::DEFINITIONS_CHECK);
    }
    // What a buyer asks for is answered from the databases, and what is accepted while the bus is away is told when it is back. So
    // its outage must not take every pod of the shop out of service.
    let bus_check = health.check_once("nats");
    let checking = async {
        if let Err(error) = keep_checking(&process, &health, &bus_check).await {
            tracing::error!(error = format!("{error:#}"), "health is no longer checked; the process ends");
            process.shutdown.begin();
        }
    };
    tokio::join!(ops::serve(listener, health.clone()), checking);
}

async fn keep_checking(process: &Process, health: &Health, bus_check: &Check) -> Result<()> {
    let with_database =
        process.roles.iter().filter_map(|&role| Some((role, role.migrator()?, health.check(role.name()))));
    let databases = with_database.map(|(role, migrator, check)| async move {
        let url = database::service_url(&process.config, role.name())?;
        let db = database::connect(&url, role.name(), Purpose::Admin).await?;
        anyhow::Ok(Database { role, db, migrator, check })
    });
    let databases = try_join_all(databases).await?;
    let bus = Bus::connect(&process.config.nats_url, "makegood-health").await?;
    loop {
        bus_check.set(bus.is_connected());
        let all_good = join_all(databases.iter().map(look)).await.into_iter().all(|good| good) && bus.is_connected();
        if !process.shutdown.pause(if all_good { CHECK_EVERY } else { CHECK_AGAIN_AFTER }).await {
            return Ok(());
        }
    }
}

/// Reachable, and of this build's schema.
async fn look(database: &Database) -> bool {
    let good = match database::has_schema(&database.db, database.migrator).await {
        Ok(good) => good,
        Err(error) => {
            tracing::warn!(role = database.role.name(), %error, "the database cannot be asked; not ready");
            false
        }
    };
    database.check.set(good);
    good
}
