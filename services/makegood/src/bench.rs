//! `makegood bench`: how much the back end does on this machine, beside what the machine itself can do.
//!
//! A scenario ([`checkout`], [`saga`]) is one iteration by one client. [`load`] runs many of them, closed loop or open,
//! over [`http_client`]s that leave the processor to the servers; latencies go into [`histogram`]s. The same run measures
//! the [`floor`]: commits of PostgreSQL and publishes of JetStream, without which no figure means anything elsewhere.

mod checkout;
mod saga;

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
    Saga(saga::Args),
    #[command(hide = true)]
    Participant(saga::participant::Args),
}

/// Runs one scenario and prints its report.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    match args.scenario {
        Scenario::Checkout(args) => checkout::run(args).await,
        // Its tasks share one thread, like a role's.
        Scenario::Saga(args) => tokio::task::LocalSet::new().run_until(saga::run(args)).await,
        Scenario::Participant(args) => saga::participant::run(args).await,
    }
}
