//! The virtual clock: what happens next, and when. Things of one instant happen in the order in which they were planned.

use std::{cmp::Reverse, collections::BinaryHeap};

use time::{Duration, OffsetDateTime, macros::datetime};

pub(super) const BEGINNING: OffsetDateTime = datetime!(2026-11-24 12:00:00 UTC);

pub(super) struct Schedule<T> {
    /// The database's clock, which is the only true one.
    pub(super) now: OffsetDateTime,
    planned: u64,
    queue: BinaryHeap<Reverse<Entry<T>>>,
}

struct Entry<T> {
    at: OffsetDateTime,
    number: u64,
    what: T,
}

impl<T> Schedule<T> {
    pub(super) fn new() -> Self {
        Self { now: BEGINNING, planned: 0, queue: BinaryHeap::new() }
    }

    pub(super) fn after(&mut self, delay: Duration, what: T) {
        self.at(self.now + delay, what);
    }

    pub(super) fn at(&mut self, at: OffsetDateTime, what: T) {
        self.planned += 1;
        self.queue.push(Reverse(Entry { at: at.max(self.now), number: self.planned, what }));
    }

    /// The next thing that happens, by then.
    pub(super) fn next_until(&mut self, end: OffsetDateTime) -> Option<T> {
        if self.queue.peek()?.0.at > end {
            return None;
        }
        let Reverse(Entry { at, what, .. }) = self.queue.pop()?;
        self.now = at;
        Some(what)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
