//! `makegood replay FILE`: a real shop's orders through the public API, held against the file to the penny.
//!
//! The file is read twice in constant memory. The first pass ([`survey`]) finds what must be in the catalog and in stock;
//! [`prepare`] puts it there. The second one ([`pass`]) places the orders, several at once. Reading goes from [`lines`]
//! through the [`rules`] to [`invoice`]s; each is [`place`]d by calls whose keys derive from the file
//! ([`run_name`]), so a replay that was stopped goes on where it was, and one that ended finds everything done.
//! The [`report`] says what became of every line.

mod country;
mod invoice;
mod lines;
mod orders;
mod rules;
mod run_name;
pub(crate) mod survey;

mod pass;
mod place;
pub(crate) mod prepare;
mod progress;

mod report;
mod table;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{
    api::{Api, Request},
    deployment::DeploymentArgs,
    output::Output,
};
use report::{Books, Check, Report};
use run_name::{Options, RunName};
use survey::Survey;

const USUAL_PAYMENT_METHOD: &str = "pm_card_visa";
const USUAL_COUNTRY: &str = "GB";
/// After the last order: the time in which the last saga's tail (closing the cart) has to end before it is judged.
const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// Places the orders of a CSV file through the public API and reports what became of every line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file needs a header with InvoiceNo, StockCode, Quantity and UnitPrice; Description, CustomerID and Country are used
where present. Prices are GBP. Stopped with Ctrl-C, the same command goes on where it was: nothing is placed twice.

Examples:
  makegood replay online-retail-2010-12_2011-10.csv.gz
  makegood replay orders.csv --stock 0.8 --concurrency 64 --limit 1000 -o json")]
pub(crate) struct Args {
    /// Orders as .csv or .csv.gz
    file: PathBuf,
    /// Stock to receive, as a factor of what the file sells: with 0.8 some orders are refused, as they should be
    #[arg(long, default_value = "1.0", value_parser = parse_stock)]
    stock: Decimal,
    /// Orders in flight
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Orders to place at most; the lines of the others are reported as skipped
    #[arg(long, value_name = "ORDERS")]
    limit: Option<u64>,
    /// Payment method of all orders
    #[arg(long, default_value = USUAL_PAYMENT_METHOD)]
    payment_method: String,
    /// ISO code for customers whose country the file does not say
    #[arg(long, default_value = USUAL_COUNTRY, value_parser = parse_country)]
    country: String,
    /// How the report is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    deployment: DeploymentArgs,
}

fn parse_stock(text: &str) -> Result<Decimal, String> {
    let stock: Decimal = text.parse().map_err(|_| "a decimal such as 0.8".to_owned())?;
    if (Decimal::ZERO..=Decimal::ONE_THOUSAND).contains(&stock) {
        Ok(stock)
    } else {
        Err("a factor from 0 to 1000".to_owned())
    }
}

fn parse_country(text: &str) -> Result<String, String> {
    let valid = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if valid { Ok(text.to_owned()) } else { Err("two capital letters, such as GB".to_owned()) }
}

/// A price on the wire. Rules let no price with more than two digits through.
fn gbp(price: Decimal) -> Value {
    let mut price = price;
    price.rescale(2);
    json!({"amount": price.to_string(), "currency": "GBP"})
}

/// Runs the replay; an error (and exit code 1) when anything that has to hold does not.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let deployment = args.deployment.clone().resolve()?;
    let stop = CancellationToken::new();
    let interrupts = tokio::spawn(stop_on_interrupt(stop.clone()));
    let path = args.file.clone();
    let survey = tokio::task::spawn_blocking(move || survey::survey(&path)).await??;
    let report = replay(&args, &deployment, survey, &stop).await;
    interrupts.abort();
    let report = report?;
    match args.output {
        Output::Table => println!("{}", table::Table(&report)),
        Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    if report.interrupted {
        bail!(
            "stopped: run the same command again to go on; orders that were placed are found by their keys and not placed twice"
        );
    }
    let failed: Vec<&str> = report.checks.iter().filter(|check| !check.ok).map(|check| check.says).collect();
    if failed.is_empty() { Ok(()) } else { bail!("does not hold: {}", failed.join("; ")) }
}

/// The first Ctrl-C lets what is in flight end; a second one ends the process as usual.
async fn stop_on_interrupt(stop: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        eprintln!("\nstopping: waiting for the orders in flight (Ctrl-C again to leave them)");
        stop.cancel();
        if tokio::signal::ctrl_c().await.is_ok() {
            // 130: ended by an interrupt, as shells say it.
            std::process::exit(130);
        }
    }
}

async fn replay(
    args: &Args,
    deployment: &DeploymentArgs,
    survey: Survey,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let options = Options { stock: args.stock, payment_method: &args.payment_method, country: &args.country };
    let name = RunName::new(&survey.sha256, &options);
    let secret_key = deployment.secret_key()?.to_owned();
    let api = Api::new(deployment.url()?, stop.clone())?;
    prepare::prepare(&api, &secret_key, &name.keys(), &survey.products, args.stock)
        .await
        .context("preparing catalog and stock")?;

    let limit = args.limit.unwrap_or(u64::MAX);
    let mut progress = progress::Progress::new(survey.orders.min(limit))?;
    let shop = place::Shop {
        api,
        secret_key,
        name: name.clone(),
        payment_method: args.payment_method.clone(),
        country: args.country.clone(),
    };
    let bounds = pass::Bounds { concurrency: usize::from(args.concurrency), limit };
    let begun = Instant::now();
    let (tally, read) = pass::place_all(args.file.clone(), &shop, &bounds, stop, &mut progress).await?;
    let seconds = begun.elapsed().as_secs_f64();
    progress.finish();

    let mut checks = Vec::new();
    let mut books = None;
    if let Some(read) = &read {
        checks = report::own_checks(&tally, &survey.sums, read);
        books = compare_books(&shop.api, deployment, &name, &mut checks).await?;
        if let Some(books) = &books {
            checks.extend(report::book_checks(&tally, books, args.limit.is_some()));
        }
        checks.extend(verify(deployment).await);
    }
    let ok = read.is_some() && checks.iter().all(|check| check.ok);
    Ok(Report {
        file: args.file.display().to_string(),
        sha256: survey.sha256,
        reference_prefix: name.prefix(),
        lines: survey.sums.lines,
        orders_in_file: survey.orders,
        file_total: survey.sums.amount,
        orders_per_second: if seconds > 0.0 { tally.placed.count as f64 / seconds } else { 0.0 },
        tally,
        books,
        interrupted: read.is_none(),
        seconds,
        checks,
        ok,
    })
}

/// Asks both sets of books; without an admin key nobody can, which is itself a check that fails.
async fn compare_books(
    api: &Api,
    deployment: &DeploymentArgs,
    name: &RunName,
    checks: &mut Vec<Check>,
) -> anyhow::Result<Option<Books>> {
    let key = match deployment.admin_key() {
        Ok(key) => key,
        Err(error) => {
            checks.push(Check { says: "the books can be read", ok: false, detail: error.to_string() });
            return Ok(None);
        }
    };
    let prefix = name.prefix();
    let ledger_captured = captured(api, key, &format!("/v1/admin/ledger/summary?reference_prefix={prefix}")).await?;
    let provider_captured = captured(api, key, &format!("/sandbox/books/summary?reference_prefix={prefix}")).await?;
    Ok(Some(Books { ledger_captured, provider_captured }))
}

/// The GBP among what a summary says was captured; another currency there is a fault and not a zero.
async fn captured(api: &Api, admin_key: &str, path: &str) -> anyhow::Result<Decimal> {
    let summary = api.call(Request::get(path, admin_key)).await?.success("reading the books")?;
    let captured =
        summary["captured"].as_array().with_context(|| format!("{path} has no list of captured amounts: {summary}"))?;
    let mut sum = Decimal::ZERO;
    for money in captured {
        if money["currency"] != "GBP" {
            bail!("{path} has a capture that is not GBP: {money}");
        }
        let amount: Decimal = money["amount"]
            .as_str()
            .with_context(|| format!("{path} has a capture without amount: {money}"))?
            .parse()?;
        sum += amount;
    }
    Ok(sum)
}

/// All promises, if the databases are known.
async fn verify(deployment: &DeploymentArgs) -> Option<Check> {
    const SAYS: &str = "makegood verify finds every promise kept";
    deployment.database_url.as_ref()?;
    let check = match crate::verify::audit(deployment, Some(QUIET_WITHIN)).await {
        Ok(report) => Check {
            says: SAYS,
            ok: report.ok,
            detail: format!("{} of {} checks hold", report.holding(), report.checks.len()),
        },
        Err(error) => Check { says: SAYS, ok: false, detail: format!("{error:#}") },
    };
    Some(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_have_exactly_the_digits_of_gbp() {
        for (price, amount) in [("3", "3.00"), ("2.5", "2.50"), ("2.55", "2.55")] {
            assert_eq!(gbp(price.parse().expect("a decimal"))["amount"], amount);
        }
    }
}
