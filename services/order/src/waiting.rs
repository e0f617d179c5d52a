//! Requests that wait for a checkout to move on, and the one task that looks for all of them.
//!
//! A change is made by a command's handler, in this process or in another, and becomes visible at its commit. The
//! looking task asks one indexed query for all waited-for checkouts every few milliseconds while anyone waits, and
//! sleeps when nobody does. A handler of this process hints at what it is about to commit, and those are looked for
//! right after it; a hint that is lost costs some milliseconds and nothing else.

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
/// With many waiters the interval grows, so that looking never takes more than a small part of a core.
const LOOK_INTERVAL_PER_CHECKOUT: Duration = Duration::from_micros(40);
/// After a hint: the commit usually takes one to three milliseconds. The delay doubles until it is found.
const FIRST_HINTED_DELAY: Duration = Duration::from_millis(1);
const LAST_HINTED_DELAY: Duration = Duration::from_millis(16);
/// Hints that may wait for the looking task; past it the oldest are lost, which is harmless.
const HINT_CAPACITY: usize = 1024;
/// The pause after a failed look: the database is away, and the waiters have their own limits.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// Handlers and routers meet here because they are started apart, and possibly only one of them in this process.
static HINTS: LazyLock<broadcast::Sender<Arc<[Uuid]>>> = LazyLock::new(|| broadcast::channel(HINT_CAPACITY).0);

/// Says that these checkouts change with the transaction that is about to commit.
pub(crate) fn hint(checkouts: impl IntoIterator<Item = Uuid>) {
    // Nobody listens where no router runs: then there is nobody to wake either.
    HINTS.send(checkouts.into_iter().collect()).ok();
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

    /// One look: hands what has moved to its waiters and returns which have.
    async fn look(&self, ids: Option<&HashSet<Uuid>>) -> Result<Vec<Uuid>, sqlx::Error> {
        let (ids, versions): (Vec<Uuid>, Vec<i64>) = self
            .watched()
            .iter()
            .filter(|(id, _)| ids.is_none_or(|ids| ids.contains(id)))
            .map(|(id, entry)| (*id, entry.seen.borrow().as_ref().map_or(1, |row| row.version)))
            .unzip();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let moved = moved_since(&self.db, &ids, &versions).await?;
        let watched = self.watched();
        let moved_ids = moved.iter().map(|row| row.id).collect();
        for row in moved {
            if let Some(entry) = watched.get(&row.id) {
                entry.seen.send_replace(Some(Arc::new(row)));
            }
        }
        Ok(moved_ids)
    }
}

/// Checkouts that have been hinted at and not yet been seen to change.
struct Hinted {
    ids: HashSet<Uuid>,
    delay: Duration,
    due: Instant,
}

impl Hinted {
    fn new() -> Self {
        Self { ids: HashSet::new(), delay: FIRST_HINTED_DELAY, due: Instant::now() }
    }

    fn add(&mut self, shared: &Shared, ids: &[Uuid]) {
        let watched = shared.watched();
        let before = self.ids.len();
        self.ids.extend(ids.iter().filter(|id| watched.contains_key(id)));
        if self.ids.len() > before {
            let soon = Instant::now() + FIRST_HINTED_DELAY;
            // A stream of hints must not put off the look that earlier ones asked for.
            self.due = if before == 0 { soon } else { self.due.min(soon) };
            self.delay = FIRST_HINTED_DELAY;
        }
    }

    fn found(&mut self, changed: &[Uuid]) {
        for id in changed {
            self.ids.remove(id);
        }
    }

    /// Looks less often for what is left, and after the last delay leaves it to the regular look.
    fn back_off(&mut self) {
        self.delay *= 2;
        if self.delay > LAST_HINTED_DELAY {
            self.ids.clear();
        }
        self.due = Instant::now() + self.delay;
    }
}

async fn look_for_changes(shared: Arc<Shared>) {
    let mut hints = HINTS.subscribe();
    let mut hinted = Hinted::new();
    let mut next_look = Instant::now();
    loop {
        let waiting = shared.watched().len();
        if waiting == 0 {
            shared.joined.notified().await;
            hinted = Hinted::new();
            next_look = Instant::now() + LOOK_INTERVAL;
            continue;
        }
        let looked = tokio::select! {
            hint = hints.recv() => {
                match hint {
                    Ok(ids) => hinted.add(&shared, &ids),
                    // Lost hints: the regular look finds what they were about. The sender is a static and never closes.
                    Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {}
                }
                continue;
            }
            () = sleep_until(hinted.due), if !hinted.ids.is_empty() => {
                let looked = shared.look(Some(&hinted.ids)).await;
                hinted.back_off();
                looked
            }
            () = sleep_until(next_look) => {
                let looked = shared.look(None).await;
                let interval = u32::try_from(waiting).map_or(LOOK_INTERVAL, |n| LOOK_INTERVAL_PER_CHECKOUT * n);
                next_look = Instant::now() + interval.max(LOOK_INTERVAL);
                looked
            }
        };
        match looked {
            Ok(changed) => hinted.found(&changed),
            Err(error) => {
                tracing::warn!(error = %error, "looking for changed checkouts");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
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
