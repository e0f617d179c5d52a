//! Equal requests in one process wait for each other here, and not each on a connection of the pool.
//!
//! A thousand equal requests at once would otherwise hold every connection, all waiting on one row. The first
//! leaves its answer for those that wait, so that they need no connection at all.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, LazyLock, PoisonError},
    time::Duration,
};

use makegood_contracts::account::Account;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Answer, Claim, Claimed, in_use};
use crate::problem::Problem;

/// How long a duplicate is parked before it is told to come again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keys are random, so their first bits spread them evenly; two threads seldom meet at one shard.
const SHARD_COUNT: usize = 16;

type Key = (Account, Vec<u8>);
type Shard = std::sync::Mutex<HashMap<Key, Slot>>;
type Slot = Arc<Mutex<Option<Settled>>>;

static SHARDS: LazyLock<[Shard; SHARD_COUNT]> = LazyLock::new(Default::default);

/// What the first of several equal requests left for the others.
#[derive(Debug)]
struct Settled {
    fingerprint: Vec<u8>,
    answer: Answer,
}

/// The queues of this process, one per key that somebody works on.
#[derive(Debug)]
pub struct KeyQueue;

impl KeyQueue {
    /// Waits until nobody else in this process works on the key; 409 after twenty seconds. Whoever gets the turn
    /// looks at [`Turn::settled`] first.
    pub async fn enter(claim: &Claim) -> Result<Turn, Problem> {
        let place = Place::take((claim.account, claim.key_hash.clone()));
        let settled =
            tokio::time::timeout(PATIENCE, Arc::clone(&place.slot).lock_owned()).await.map_err(|_elapsed| in_use())?;
        Ok(Turn { settled, fingerprint: claim.fingerprint.clone(), place })
    }
}

/// The right to work on a key; the next in the queue gets it when this is dropped.
#[derive(Debug)]
pub struct Turn {
    // Dropped before the place, which counts the slot's holders.
    settled: OwnedMutexGuard<Option<Settled>>,
    fingerprint: Vec<u8>,
    place: Place,
}

impl Turn {
    /// What the key has come to while this request waited: [`Claimed::Answered`], [`Claimed::Mismatch`], or none.
    pub fn settled(&self) -> Option<Claimed> {
        self.settled.as_ref().map(|settled| match settled.fingerprint == self.fingerprint {
            true => Claimed::Answered(settled.answer.clone()),
            false => Claimed::Mismatch,
        })
    }

    /// Leaves the answer for those that wait. To be called after COMMIT only.
    pub fn settle(&mut self, answer: &Answer) {
        if self.place.is_shared() {
            *self.settled = Some(Settled { fingerprint: self.fingerprint.clone(), answer: answer.clone() });
        }
    }
}

/// Holders of a slot when nobody waits: the shard, the turn's guard and its place.
const HOLDERS_OF_A_LONE_TURN: usize = 3;

/// A place in a key's queue; the last one that goes takes the queue away with it.
#[derive(Debug)]
struct Place {
    key: Key,
    slot: Slot,
}

impl Place {
    fn take(key: Key) -> Self {
        let slot =
            Arc::clone(shard_of(&key).lock().unwrap_or_else(PoisonError::into_inner).entry(key.clone()).or_default());
        Self { key, slot }
    }

    fn is_shared(&self) -> bool {
        Arc::strong_count(&self.slot) > HOLDERS_OF_A_LONE_TURN
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shard = shard_of(&self.key).lock().unwrap_or_else(PoisonError::into_inner);
        // Places are taken under this lock, so nobody can come in between the count and the removal.
        if Arc::strong_count(&self.slot) == 2
            && let Entry::Occupied(entry) = shard.entry(self.key.clone())
        {
            entry.remove();
        }
    }
}

fn shard_of(key: &Key) -> &'static Shard {
    &SHARDS[key.1.first().map_or(0, |byte| usize::from(*byte) % SHARD_COUNT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(fingerprint: u8) -> Claim {
        let account = Account { id: uuid::Uuid::from_u128(77), livemode: false };
        Claim { account, key_hash: vec![1, 2, 3], fingerprint: vec![fingerprint] }
    }

    #[tokio::test]
    async fn those_who_wait_get_the_first_ones_answer_and_no_queue_is_left() {
        let mut first = KeyQueue::enter(&claim(1)).await.expect("the first");
        assert_eq!(first.settled(), None);
        let second = tokio::spawn(async { KeyQueue::enter(&claim(1)).await.map(|turn| turn.settled()) });
        let abandoned = tokio::spawn(async { KeyQueue::enter(&claim(1)).await.map(drop) });
        tokio::task::yield_now().await;
        abandoned.abort();
        let answer = Answer { status: 201, body: "{}".to_owned(), location: None };
        first.settle(&answer);
        assert!(!second.is_finished(), "two turns of one key never exist at once");
        drop(first);
        assert_eq!(second.await.expect("no panic").expect("a turn"), Some(Claimed::Answered(answer)));
        assert!(abandoned.await.is_err());

        let key = (claim(1).account, vec![1, 2, 3]);
        assert!(!shard_of(&key).lock().expect("no panic").contains_key(&key));
    }

    #[tokio::test]
    async fn a_key_with_another_request_is_a_mismatch() {
        let mut account_claim = claim(1);
        account_claim.key_hash = vec![9];
        let mut other_claim = account_claim.clone();
        other_claim.fingerprint = vec![2];
        let mut first = KeyQueue::enter(&account_claim).await.expect("the first");
        let second = tokio::spawn(async move { KeyQueue::enter(&other_claim).await.map(|turn| turn.settled()) });
        tokio::task::yield_now().await;
        first.settle(&Answer { status: 200, body: String::new(), location: None });
        drop(first);
        assert_eq!(second.await.expect("no panic").expect("a turn"), Some(Claimed::Mismatch));
    }
}
