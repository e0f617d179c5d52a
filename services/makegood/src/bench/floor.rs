//! The machine's floor: what PostgreSQL commits and JetStream acknowledges here when nobody asks for more than that.

mod commits;
mod publishes;

use std::time::Duration;

use serde::Serialize;

use crate::client::deployment::DeploymentArgs;

/// Long enough for a steady figure, short enough to be measured each time.
const EACH: Duration = Duration::from_secs(2);
const CLIENTS: [usize; 2] = [1, 64];
const IN_FLIGHT: [usize; 2] = [1, 512];

/// One measurement of the floor.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Rate {
    /// Clients, or messages in flight.
    pub(crate) at_once: usize,
    pub(crate) per_second: f64,
}

impl Rate {
    fn of(at_once: usize, count: u64, elapsed: Duration) -> Self {
        Self { at_once, per_second: count as f64 / elapsed.as_secs_f64() }
    }
}

/// What could be measured, and why the rest could not.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Floor {
    pub(crate) postgres_commits: Vec<Rate>,
    pub(crate) jetstream_publishes: Vec<Rate>,
    pub(crate) not_measured: Vec<String>,
}

/// Measures while the deployment is idle. A server that is not known or does not answer costs its figure, not the report.
pub(crate) async fn measure(deployment: &DeploymentArgs) -> Floor {
    let mut floor = Floor::default();
    match &deployment.database_url {
        Some(url) => match commits::measure(url, &CLIENTS, EACH).await {
            Ok(rates) => floor.postgres_commits = rates,
            Err(error) => floor.not_measured.push(format!("PostgreSQL: {error:#}")),
        },
        None => floor.not_measured.push("PostgreSQL: no DATABASE_URL".to_owned()),
    }
    match &deployment.nats_url {
        Some(url) => match publishes::measure(url, &IN_FLIGHT, EACH).await {
            Ok(rates) => floor.jetstream_publishes = rates,
            Err(error) => floor.not_measured.push(format!("JetStream: {error:#}")),
        },
        None => floor.not_measured.push("JetStream: no NATS_URL".to_owned()),
    }
    floor
}
