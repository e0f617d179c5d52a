//! The orchestrator's settings.

use std::path::PathBuf;

use crate::saga_retention::SagaRetention;

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Config {
    /// Folder of further definitions (`*.yaml`), beside those that ship.
    #[arg(long, env = "MAKEGOOD_DEFINITIONS")]
    pub definitions: Option<PathBuf>,
    /// Days for which sagas that have ended are kept, or `forever`. Ninety by default: long enough for a card holder's dispute.
    #[arg(long, env = "MAKEGOOD_SAGA_RETENTION", default_value = "90", value_name = "DAYS")]
    pub saga_retention: SagaRetention,
}
