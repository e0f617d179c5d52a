//! Settings of the catalog service: none yet. The type is here because every role has one.

/// Flags and variables of the catalog role.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {}
