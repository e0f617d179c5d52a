//! `makegood up`: a whole development server on a machine that has nothing but this build.
//!
//! It takes its [`home`] (one `up` at a time, [`home_lock`]), starts PostgreSQL and NATS there unless it is given others
//! ([`data_servers`]), migrates, makes test keys, runs `makegood serve all` as a child ([`serving`]), loads a
//! [`demo_catalog`] once, writes [`dev_env`], and then looks after its children ([`supervisor`]) until Ctrl-C.

use std::{net::IpAddr, path::PathBuf};

use anyhow::Result;

use self::{dev_env::DevEnv, home::Home, supervisor::Supervisor};
use crate::{
    interrupts::{self, Interrupts},
    migrate,
    progress::{say, step},
};

mod home;
mod home_lock;

mod data_servers;
mod demo_catalog;
mod dev_env;
mod serving;
mod supervisor;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  makegood up\n  MAKEGOOD_PORT=8081 MAKEGOOD_HOME=.makegood-2 makegood up\n  \
                        DATABASE_URL=postgres://admin@db/postgres NATS_URL=nats://bus makegood up")]
pub(crate) struct Args {
    /// Folder for the servers, their data and the keys.
    #[arg(long, env = "MAKEGOOD_HOME", default_value = ".makegood")]
    home: PathBuf,
    /// Port that everything is served on.
    #[arg(long, env = "MAKEGOOD_PORT", default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Address that everything is served on; 0.0.0.0 opens it to the network.
    #[arg(long, env = "MAKEGOOD_LISTEN", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port for health and metrics; a free one where this is not given.
    #[arg(long, env = "MAKEGOOD_OPS_PORT")]
    ops_port: Option<u16>,
    /// Folder that scripts/install-servers filled; `servers` in the home where this is not given.
    #[arg(long, env = "MAKEGOOD_SERVERS")]
    servers: Option<PathBuf>,
    /// PostgreSQL (17 or newer) to use instead of one of our own.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// NATS (2.12 or newer, with JetStream) to use instead of one of our own.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// Leave the catalog empty.
    #[arg(long)]
    without_demo: bool,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let mut interrupts = Interrupts::register()?;
    let home = Home::open(&args.home)?;
    let _lock = home_lock::take(home.path(), &args.url())?;
    serving::stop_leftover(&home).await?;
    serving::require_free_port(&args)?;
    let mut children = Supervisor::default();
    let started = tokio::select! {
        started = start(&args, &home, &mut children) => started,
        () = interrupts.next() => {
            say("interrupted while starting; stopping what runs");
            children.stop(&mut interrupts).await?;
            std::process::exit(interrupts::EXIT_CODE);
        }
    };
    match started {
        Ok(env) => {
            announce(&env, &home);
            children.watch(&mut interrupts).await;
            say("stopping (Ctrl-C again: at once) …");
            step("stopping everything", children.stop(&mut interrupts)).await?;
            say("stopped; `make up` goes on where this was");
            Ok(())
        }
        Err(error) => {
            children.stop(&mut interrupts).await?;
            Err(error)
        }
    }
}

async fn start(args: &Args, home: &Home, children: &mut Supervisor) -> Result<DevEnv> {
    let urls = data_servers::start(args, home, children).await?;
    let env = DevEnv::new(home, args.url(), urls)?;
    env.write()?;
    migrate::all(&env.config()?).await?;
    children.add(serving::start(args, home, &env).await?);
    if !args.without_demo {
        demo_catalog::load_once(home, &env).await?;
    }
    Ok(env)
}

impl Args {
    /// Where a client on this machine finds us.
    fn url(&self) -> String {
        let host = if self.listen.is_unspecified() { "127.0.0.1".to_owned() } else { self.listen.to_string() };
        let host = if self.listen.is_ipv6() && !self.listen.is_unspecified() { format!("[{host}]") } else { host };
        format!("http://{host}:{}", self.port)
    }
}

/// The one thing on standard output: where it is, and how to look in.
fn announce(env: &DevEnv, home: &Home) {
    let file = home.path().join("dev.env");
    println!("Makegood serves on {}", env.url);
    println!("  try it      {}/docs", env.url);
    println!("  keys, URLs  {} (set -a; . {0}; set +a)", file.display());
    println!("  sagas       curl -H \"Authorization: Bearer $MAKEGOOD_ADMIN_KEY\" {}/v1/admin/sagas", env.url);
    println!("  logs        {}", home.path().join("makegood.log").display());
    println!("Ctrl-C stops it all and loses nothing.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn a_port_of_nobody_s_choosing_is_refused_since_no_client_would_find_it() {
        let parse = |port: &str| <Cli as clap::Parser>::try_parse_from(["up", "--port", port]);
        let refused = parse("0").expect_err("0 is no address");
        assert_eq!(refused.kind(), clap::error::ErrorKind::ValueValidation);
        assert_eq!(parse("8081").expect("an address").args.port, 8081);
    }
}
