//! The second pass: every order of the file is placed, several at once.

use std::path::PathBuf;

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    invoice::Invoice,
    lines,
    orders::{Found, Orders, Sums},
    place::{Shop, place},
    progress::Progress,
    report::Tally,
    rules::Why,
};

/// Enough that the reader is never waited for; it bounds what is in memory.
const READ_AHEAD: usize = 64;

pub(crate) struct Bounds {
    /// Orders in flight.
    pub(crate) concurrency: usize,
    /// Orders to place.
    pub(crate) limit: u64,
}

/// Places the orders. After a stop it takes up nothing new and ends when what is in flight has ended.
/// The sums are those of the whole file, or none if it was not read to its end.
pub(crate) async fn place_all(
    path: PathBuf,
    shop: &Shop,
    bounds: &Bounds,
    stop: &CancellationToken,
    progress: &mut Progress,
) -> anyhow::Result<(Tally, Option<Sums>)> {
    let (sender, mut found) = mpsc::channel(READ_AHEAD);
    let reader = tokio::task::spawn_blocking(move || read(path, &sender));
    let mut tally = Tally::default();
    let mut begun = 0;
    let mut reading = true;
    let mut in_flight = FuturesUnordered::new();
    while reading || !in_flight.is_empty() {
        tokio::select! {
            biased;
            () = stop.cancelled(), if reading => {
                reading = false;
                found.close();
            }
            Some((invoice, ended)) = in_flight.next() => {
                tally.end(&invoice, ended);
                progress.show(&tally);
            }
            next = found.recv(), if reading && in_flight.len() < bounds.concurrency => match next {
                Some(Found::Order(invoice)) if begun < bounds.limit => {
                    begun += 1;
                    in_flight.push(place_one(shop, invoice));
                }
                Some(Found::Order(invoice)) => tally.leave(Why::BeyondLimit, invoice.file_lines, invoice.amount),
                Some(Found::Left { why, amount }) => tally.leave(why, 1, amount),
                None => reading = false,
            },
            () = progress.line_due() => progress.line(&tally),
        }
    }
    // What was read ahead and not taken up is as good as not read.
    drop(found);
    let sums = reader.await??;
    Ok((tally, sums.filter(|_| !stop.is_cancelled())))
}

async fn place_one(shop: &Shop, invoice: Invoice) -> (Invoice, super::place::Ended) {
    let ended = place(shop, &invoice).await;
    (invoice, ended)
}

/// Reads on a thread of its own; none when nobody wants more.
fn read(path: PathBuf, sender: &mpsc::Sender<Found>) -> anyhow::Result<Option<Sums>> {
    let mut orders = Orders::new(lines::open(&path)?);
    for found in orders.by_ref() {
        if sender.blocking_send(found?).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(orders.sums().clone()))
}
