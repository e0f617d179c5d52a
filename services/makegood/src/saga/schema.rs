//! `makegood saga schema`: the JSON Schema of definitions, for editors.

use anyhow::Result;
use makegood_saga::definition::JSON_SCHEMA;

use crate::client::terminal::print;

/// Print the JSON Schema of definitions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An editor with YAML support completes and checks a definition whose first line names the schema:
  # yaml-language-server: $schema=saga.schema.json

Example:
  makegood saga schema > saga.schema.json")]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<()> {
    print(JSON_SCHEMA)
}
