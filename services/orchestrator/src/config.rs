//! The orchestrator's settings.

use std::path::PathBuf;

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Config {
    /// Folder of further definitions (`*.yaml`), beside those that ship.
    #[arg(long, env = "MAKEGOOD_DEFINITIONS")]
    pub definitions: Option<PathBuf>,
}
