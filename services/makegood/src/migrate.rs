//! `makegood migrate`: creates every service's database and role, and brings their tables to this build's schema.

use anyhow::Result;
use makegood_chassis::{config::Config, database};

use crate::{
    progress::{say, step},
    roles::Role,
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  makegood migrate --database-url postgres://admin@db/postgres --nats-url nats://nats \\\n      --secret \"$MAKEGOOD_SECRET\" --api-keys keys.json\n\n\
                        Run it with a role that may create databases and roles; those that serve need no such rights.\n\
                        It may run twice, and at once with another, and the release that still serves goes on working."
)]
pub(crate) struct Args {
    #[command(flatten)]
    config: Config,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    all(&args.config).await?;
    say("every database has this build's schema");
    Ok(())
}

/// One after the other, so that a failure names its service.
pub(crate) async fn all(config: &Config) -> Result<()> {
    for role in Role::ALL {
        let Some(migrator) = role.migrator() else { continue };
        let migrated = database::migrate(config, role.name(), migrator);
        step(&format!("migrating the database of {}", role.name()), migrated).await?;
    }
    Ok(())
}
