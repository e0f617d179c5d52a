//! PostgreSQL and NATS: those that the environment names, or two of our own in the home.

use anyhow::Result;
use makegood_servers::{Notify, nats, postgres, process::Process, wheels};

use super::{Args, home::Home, supervisor::Supervisor};
use crate::progress;

/// Where the two are.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    pub database: String,
    pub nats: String,
}

pub(crate) async fn start(args: &Args, home: &Home, children: &mut Supervisor) -> Result<Urls> {
    let given_database = args.database_url.clone().filter(|url| !is_own(home, "postgres.port", url));
    let given_nats = args.nats_url.clone().filter(|url| !is_own(home, "nats.port", url));
    let notify = progress::notify();
    let (database, database_server) = match given_database {
        Some(url) => (url, None),
        None => {
            let (url, server) = start_postgres(args, home, &notify).await?;
            (url, Some(server))
        }
    };
    let (nats, nats_server) = match given_nats {
        Some(url) => (url, None),
        None => {
            let (url, server) = start_nats(args, home, &notify).await?;
            (url, Some(server))
        }
    };
    [database_server, nats_server].into_iter().flatten().for_each(|server| children.add(server));
    Ok(Urls { database, nats })
}

/// A shell that has read our dev.env hands us the URL of our own server, which does not run yet.
fn is_own(home: &Home, port_file: &str, url: &str) -> bool {
    std::fs::read_to_string(home.file(port_file)).is_ok_and(|port| url.contains(&format!("127.0.0.1:{}", port.trim())))
}

fn find_wheels(args: &Args, home: &Home, notify: &Notify) -> Result<wheels::Wheels> {
    let installed = args.servers.clone().unwrap_or_else(|| home.file("servers"));
    wheels::find(&installed, home.path(), notify)
}

async fn start_postgres(args: &Args, home: &Home, notify: &Notify) -> Result<(String, Process)> {
    let wheels = find_wheels(args, home, notify)?;
    let prepared = postgres::prepare(&wheels, home.path(), postgres::Durability::PowerLoss, notify);
    let server = progress::step("setting up PostgreSQL", prepared).await?;
    let process = progress::step("starting PostgreSQL", Process::start(server.launch, notify.clone())).await?;
    Ok((server.url, process))
}

async fn start_nats(args: &Args, home: &Home, notify: &Notify) -> Result<(String, Process)> {
    let wheels = find_wheels(args, home, notify)?;
    let server = nats::prepare(&wheels, home.path(), notify).await?;
    let process = progress::step("starting NATS", Process::start(server.launch, notify.clone())).await?;
    Ok((server.url, process))
}
