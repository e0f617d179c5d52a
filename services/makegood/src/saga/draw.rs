//! `makegood saga draw`: a definition as a picture.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use makegood_saga::{definition::Definition, draw};

use crate::client::terminal::print;

/// Draw a definition on standard output
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  makegood saga draw saga-definitions/checkout.v2.yaml > checkout.svg
  makegood saga draw saga-definitions/checkout.v2.yaml -o mermaid")]
pub(crate) struct Args {
    /// The definition, as YAML
    file: PathBuf,
    /// How it is drawn
    #[arg(short, long, value_enum, default_value_t = Drawing::Svg)]
    output: Drawing,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Drawing {
    /// A picture for every browser
    Svg,
    /// A Mermaid flowchart, which code hosts and wikis show
    Mermaid,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let yaml = fs::read_to_string(&args.file).with_context(|| format!("reading {}", args.file.display()))?;
    let definition = Definition::parse(&yaml).with_context(|| format!("{} cannot be used", args.file.display()))?;
    print(&match args.output {
        Drawing::Svg => draw::svg(&definition, None),
        Drawing::Mermaid => draw::mermaid(&definition, None),
    })
}
