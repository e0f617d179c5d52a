//! `makegood bench`: how much the back end does on this machine, beside what the machine itself can do.
//!
//! A scenario ([`checkout`]; others beside it) is one iteration by one client. [`load`] runs many of them, closed loop or open,
//! over [`http_client`]s that leave the processor to the servers; latencies go into [`histogram`]s. The same run measures
//! the [`floor`]: commits of PostgreSQL and publishes of JetStream, without which no figure means anything elsewhere.

mod checkout;

mod histogram;
mod http_client;
mod load;

mod floor;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, clap::Subcommand)]
enum Scenario {
    Checkout(checkout::Args),
}

/// Runs one scenario and prints its report.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.scenario {
        Scenario::Checkout(args) => checkout::run(args).await,
    }
}
