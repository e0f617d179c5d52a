//! `makegood keys`: making API keys, and listing those that there are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use makegood_chassis::{
    auth::{ApiKeys, Scope},
    secret::Secret,
};
use makegood_contracts::account::Account;
use makegood_servers::token;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::client::terminal::{print, print_line};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and show it, this once: only its hash is kept.
    #[command(after_help = "Example:\n  makegood keys create --kind secret --name \"web shop\"")]
    Create(CreateArgs),
    /// List the keys by name, account and scopes.
    #[command(after_help = "Example:\n  makegood keys list")]
    List(KeyFileArgs),
}

#[derive(Debug, clap::Args)]
struct KeyFileArgs {
    /// File of hashed API keys.
    #[arg(long, env = "MAKEGOOD_API_KEYS")]
    api_keys: PathBuf,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[command(flatten)]
    file: KeyFileArgs,
    /// Root secret of the deployment, by which keys are hashed.
    #[arg(long, env = "MAKEGOOD_SECRET", hide_env_values = true)]
    secret: String,
    /// What the key may do.
    #[arg(long)]
    kind: Kind,
    /// What people call it, in lists and in the audit.
    #[arg(long)]
    name: String,
    /// The account (shop) that it belongs to; a new one where none is given.
    #[arg(long)]
    account: Option<Uuid>,
    /// For live mode; without it the key is for test mode.
    #[arg(long)]
    live: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// For browsers: carts, checkouts, catalog.
    Publishable,
    /// For a shop's server: also products, stock and orders.
    Secret,
    /// For operators: also sagas, ledger and invariants.
    Admin,
}

impl Kind {
    const fn scope(self) -> Scope {
        match self {
            Self::Publishable => Scope::Storefront,
            Self::Secret => Scope::Server,
            Self::Admin => Scope::Admin,
        }
    }
}

pub(crate) async fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Create(args) => create(&args),
        Command::List(args) => list(&args.api_keys),
    }
}

fn create(args: &CreateArgs) -> Result<()> {
    let account = Account { id: args.account.unwrap_or_else(Uuid::now_v7), livemode: args.live };
    let secret = Secret::new(&args.secret)?;
    let key = ApiKeys::create(&args.file.api_keys, &secret, account, &[args.kind.scope()], &args.name)?;
    eprintln!("account {}, {} mode", account.id, if account.livemode { "live" } else { "test" });
    print_line(&key)
}

/// What of an entry is for people to see.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    account_id: Uuid,
    livemode: bool,
    scopes: Vec<Scope>,
    created_at: String,
}

#[derive(Debug, Deserialize)]
struct KeyFile {
    keys: Vec<Listed>,
}

fn list(path: &Path) -> Result<()> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let file: KeyFile =
        serde_json::from_slice(&text).with_context(|| format!("reading the keys in {}", path.display()))?;
    for key in file.keys {
        let mode = if key.livemode { "live" } else { "test" };
        print(&format!("{}\t{}\t{mode}\t{:?}\t{}\n", key.created_at, key.account_id, key.scopes, key.name))?;
    }
    Ok(())
}

/// The keys of a development server, which may lie in clear: they open nothing but test data of this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TestKeys {
    pub account_id: Uuid,
    pub publishable: String,
    pub secret: String,
    pub admin: String,
}

/// The home's test keys, all of one account; made on first use, and again when their hashes are gone.
pub(crate) fn test_keys(home: &Path, api_keys: &Path, root: &str) -> Result<TestKeys> {
    let kept = home.join("test_keys.json");
    if api_keys.exists()
        && let Ok(text) = fs::read(&kept)
    {
        return serde_json::from_slice(&text).with_context(|| format!("reading {}", kept.display()));
    }
    let secret = Secret::new(root)?;
    let account = Account { id: Uuid::now_v7(), livemode: false };
    let create = |kind: Kind| ApiKeys::create(api_keys, &secret, account, &[kind.scope()], "development");
    let keys = TestKeys {
        account_id: account.id,
        publishable: create(Kind::Publishable)?,
        secret: create(Kind::Secret)?,
        admin: create(Kind::Admin)?,
    };
    token::write_private(&kept, &serde_json::to_string_pretty(&keys)?)?;
    Ok(keys)
}
