//! Requests that wait for a checkout to move on, and the one task that looks for all of them.
//!
//! A change is made by a command's handler, in this process or in another, and becomes visible at its commit. The
//! looking task asks one indexed query for all waited-for checkouts every few milliseconds while anyone waits, and
//! sleeps when nobody does. A participant in this process hints at what it has committed, and that is looked for at once;
//! a hint that is lost costs a quarter of a second at most, and nothing else. Where hints tell everything, because all of the commands are handled
//! here, looking for what they may have missed is done less often.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    sync::{Notify, broadcast, watch},
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use crate::checkout_row::{CheckoutRow, checkout_columns};

/// How often everything that is waited for is looked for. Most changes are found sooner, by their hint.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// The same once hints have told of the last `TRUSTED_AFTER` changes.
const LOOK_INTERVAL_BESIDE_HINTS: Duration = Duration::from_millis(250);
/// With another replica that handles half of the commands, so many hinted changes in a row do not come about by chance.
const TRUSTED_AFTER: usize = 64;
/// With many waiters the interval grows, so that looking never takes more than a small part of a core.
const LOOK_INTERVAL_PER_CHECKOUT: Duration = Duration::from_micros(40);
/// Hints that may wait for the looking task; past it the oldest are lost, which is harmless.
const HINT_CAPACITY: usize = 1024;
/// The pause after a failed look: the database is away, and the waiters have their own limits.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// Participants and routers meet here because they are started apart, and possibly only one of them in this process.
static HINTS: LazyLock<broadcast::Sender<Arc<[Uuid]>>> = LazyLock::new(|| broadcast::channel(HINT_CAPACITY).0);

/// Says that what belongs to these sagas may have changed. Those of checkouts have their ids; others are waited for by nobody.
pub(crate) fn hint(sagas: Vec<Uuid>) {
    // Nobody listens where no router runs: then there is nobody to wake either.
    HINTS.send(sagas.into()).ok();
}

/// The checkouts that requests of this process wait for.
#[derive(Clone)]
pub(crate) struct Waiting(Arc<Shared>);

struct Shared {
    db: PgPool,
    watched: Mutex<HashMap<Uuid, Watched>>,
    joined: Notify,
}

struct Watched {
    seen: watch::Sender<Option<Arc<CheckoutRow>>>,
    waiters: usize,
}

impl Waiting {
    /// Starts the looking task on the current runtime. It ends with the runtime and not at shutdown, because the
    /// requests that drain then still wait for it.
    pub(crate) fn spawn(db: PgPool) -> Self {
        let shared = Arc::new(Shared { db, watched: Mutex::default(), joined: Notify::new() });
        tokio::spawn(look_for_changes(Arc::clone(&shared)));
        Self(shared)
    }

    /// Waits until the checkout is `enough`, for at most `limit`. None when that has passed.
    /// Sees every version after the first, which is the one that was accepted.
    pub(crate) async fn until(
        &self,
        id: Uuid,
        limit: Duration,
        enough: impl Fn(&CheckoutRow) -> bool,
    ) -> Option<Arc<CheckoutRow>> {
        let (mut seen, _place) = self.join(id);
        let found = timeout(limit, seen.wait_for(|row| row.as_deref().is_some_and(&enough))).await;
        match found {
            Ok(Ok(row)) => row.clone(),
            // The sender lives in the map for as long as `_place` does.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    fn join(&self, id: Uuid) -> (watch::Receiver<Option<Arc<CheckoutRow>>>, Place) {
        let mut watched = self.0.watched();
        let entry = watched.entry(id).or_insert_with(|| Watched { seen: watch::Sender::new(None), waiters: 0 });
        entry.waiters += 1;
        let seen = entry.seen.subscribe();
        drop(watched);
        self.0.joined.notify_one();
        (seen, Place { shared: Arc::clone(&self.0), id })
    }
}

/// A waiter's place; the last one to leave ends the watch, also when the client has gone.
struct Place {
    shared: Arc<Shared>,
    id: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut watched = self.shared.watched();
        if let Some(entry) = watched.get_mut(&self.id) {
            entry.waiters -= 1;
            if entry.waiters == 0 {
                watched.remove(&self.id);
            }
        }
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, HashMap<Uuid, Watched>> {
        // Nothing that holds the lock can leave the map half changed.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look, at all that is waited for or at those of these: hands what has moved to its waiters. Returns how many have moved.
    async fn look(&self, hinted: Option<&HashSet<Uuid>>) -> Result<usize, sqlx::Error> {
        let (ids, versions) = self.seen(hinted);
        if ids.is_empty() {
            return Ok(0);
        }
        let moved = moved_since(&self.db, &ids, &versions).await?;
        let count = moved.len();
        let watched = self.watched();
        for row in moved {
            if let Some(entry) = watched.get(&row.id) {
                entry.seen.send_replace(Some(Arc::new(row)));
            }
        }
        Ok(count)
    }

    /// What is waited for, of these or of all, with the version that its waiters have seen.
    fn seen(&self, hinted: Option<&HashSet<Uuid>>) -> (Vec<Uuid>, Vec<i64>) {
        let watched = self.watched();
        let version = |(id, entry): (&Uuid, &Watched)| (*id, entry.seen.borrow().as_ref().map_or(1, |row| row.version));
        match hinted {
            Some(ids) => ids.iter().filter_map(|id| watched.get_key_value(id)).map(version).unzip(),
            None => watched.iter().map(version).unzip(),
        }
    }
}

async fn look_for_changes(shared: Arc<Shared>) {
    let mut hints = HINTS.subscribe();
    let mut next_look = Instant::now();
    let mut hinted_in_a_row = 0_usize;
    loop {
        let waiting = shared.watched().len();
        if waiting == 0 {
            shared.joined.notified().await;
            next_look = Instant::now() + LOOK_INTERVAL;
            continue;
        }
        let looked = tokio::select! {
            hint = hints.recv() => match hint {
                Ok(ids) => {
                    // One look for all that has come meanwhile. Whatever ends this, even lost hints, `recv` tells next time.
                    let others = std::iter::from_fn(|| hints.try_recv().ok());
                    let hinted = std::iter::once(ids).chain(others).flat_map(|ids| ids.to_vec()).collect();
                    let looked = shared.look(Some(&hinted)).await;
                    hinted_in_a_row = looked.as_ref().map_or(0, |moved| hinted_in_a_row.saturating_add(*moved));
                    looked
                }
                // Lost hints: the regular look finds what they were about. The sender is a static and never closes.
                Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => Ok(0),
            },
            () = sleep_until(next_look) => {
                let looked = shared.look(None).await;
                if !matches!(looked, Ok(0)) {
                    hinted_in_a_row = 0;
                }
                next_look = Instant::now() + look_interval(waiting, hinted_in_a_row);
                looked
            }
        };
        if let Err(error) = looked {
            tracing::warn!(error = %error, "looking for changed checkouts");
            tokio::time::sleep(PAUSE_AFTER_ERROR).await;
        }
    }
}

/// How long until all of them are looked for again.
fn look_interval(waiting: usize, hinted_in_a_row: usize) -> Duration {
    let least = if hinted_in_a_row < TRUSTED_AFTER { LOOK_INTERVAL } else { LOOK_INTERVAL_BESIDE_HINTS };
    u32::try_from(waiting).map_or(least, |n| least.max(LOOK_INTERVAL_PER_CHECKOUT * n))
}

/// Those of the checkouts that are past the version beside them.
async fn moved_since(db: &PgPool, ids: &[Uuid], versions: &[i64]) -> Result<Vec<CheckoutRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        checkout_columns!(),
        "
         from unnest($1::uuid[], $2::bigint[]) as watched (id, version)
         join checkout on checkout.id = watched.id
         where checkout.version > watched.version"
    ))
    .bind(ids)
    .bind(versions)
    .fetch_all(db)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_told_everything_looks_less_often_and_a_crowd_less_often_still() {
        assert_eq!(look_interval(1, 0), LOOK_INTERVAL);
        assert_eq!(look_interval(1, TRUSTED_AFTER), LOOK_INTERVAL_BESIDE_HINTS);
        assert_eq!(look_interval(1_000, 0), Duration::from_millis(40));
        assert_eq!(look_interval(10_000, TRUSTED_AFTER), Duration::from_millis(400));
    }
}
