//! `makegood bench checkout`: whole checkouts, from an empty cart to the completed order, over real sockets.

mod buyer;
mod report;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;

use super::{
    floor,
    load::{self, Plan},
};
use crate::{
    client::{api::Api, deployment::DeploymentArgs, duration::parse_duration, output::Output},
    replay::{
        prepare::{Keys, prepare},
        survey::Product,
    },
};
use buyer::{Buyer, Catalog};
use report::Report;

/// Pieces of each SKU, received before each run: no run uses that up.
const PIECES: i64 = 1_000_000;

/// Completed checkouts per second, and how long each takes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One iteration makes a cart and checks it out with confirmation, waiting for the end. With --rate, iterations begin at that
rate whatever the answers do, and latencies count from when an iteration should have begun. The report sets the throughput
beside the machine's floor: one-row commits of PostgreSQL and acknowledged publishes of JetStream.

Examples:
  makegood bench checkout
  makegood bench checkout --in-flight 1 --duration 10s
  makegood bench checkout --rate 500 --in-flight 256 -o json")]
pub(crate) struct Args {
    /// Clients, each with one iteration at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    in_flight: u16,
    /// How long is measured (ms, s or m)
    #[arg(long, default_value = "20s", value_parser = parse_duration)]
    duration: Duration,
    /// Run before measuring (ms, s or m)
    #[arg(long, default_value = "3s", value_parser = parse_duration)]
    warm_up: Duration,
    /// Iterations per second (open loop); without it each client begins again when it is done
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Lines per cart, each of another SKU
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=2000))]
    lines: u16,
    /// SKUs to choose from; few make stock a hot spot
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    skus: u32,
    /// How the report is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err("a number of iterations per second, up to 1000000".to_owned()),
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    if u32::from(args.lines) > args.skus {
        bail!("a cart of {} lines needs as many SKUs: there are {}", args.lines, args.skus);
    }
    let deployment = args.deployment.clone().resolve()?;
    let (url, secret_key) = (deployment.url()?, deployment.secret_key()?);
    let run_id = uuid::Uuid::now_v7().simple().to_string();
    stock_up(url, secret_key, &run_id, args.skus).await.context("preparing products and stock")?;

    let catalog = Catalog { skus: args.skus, lines: usize::from(args.lines) };
    let buyers: Vec<Buyer> = (0..args.in_flight)
        .map(|number| Buyer::new(url, secret_key, &run_id, number, catalog))
        .collect::<anyhow::Result<_>>()?;
    let plan = Plan { warm_up: args.warm_up, duration: args.duration, rate: args.rate };
    let measured = load::run(buyers, plan).await;
    let floor = floor::measure(&deployment).await;

    let report = Report::new(&args, &measured, floor);
    match args.output {
        Output::Table => println!("{report}"),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    if measured.completed == 0 {
        bail!("no checkout completed: {:?}", measured.errors);
    }
    Ok(())
}

/// The products stay between runs; each run receives stock of its own.
async fn stock_up(url: &str, secret_key: &str, run_id: &str, skus: u32) -> anyhow::Result<()> {
    let api = Api::new(url, CancellationToken::new())?;
    let keys = Keys { products: format!("bench:{run_id}:products"), receipts: format!("bench:{run_id}:receipts") };
    let product =
        |number: u32| Product { title: format!("Bench product {number}"), price: Decimal::new(999, 2), sold: PIECES };
    let products: BTreeMap<String, Product> = (0..skus).map(|number| (buyer::sku(number), product(number))).collect();
    prepare(&api, secret_key, &keys, &products, Decimal::ONE).await
}
