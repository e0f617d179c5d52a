//! How the sandbox misbehaves, on demand. Kept in this process's memory: a restart heals it, and each of several
//! sandbox processes misbehaves on its own.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What goes wrong at the card provider. All zero: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    /// Share of requests that take effect and whose answer is cut off.
    #[schema(maximum = 100)]
    pub(crate) drop_answers_percent: u8,
    /// Share of requests that are answered 500 before they take effect.
    #[schema(maximum = 100)]
    pub(crate) refuse_percent: u8,
    /// Every request waits this long before it takes effect.
    #[schema(maximum = 60_000)]
    pub(crate) delay_ms: u32,
    /// Callbacks are sent this many times more than once.
    #[schema(maximum = 5)]
    pub(crate) duplicate_callbacks: u8,
    /// Callbacks are sent this much later.
    #[schema(maximum = 86_400_000)]
    pub(crate) late_callbacks_ms: u32,
    /// Share of requests decided at once that get a callback too. What is decided after its answer always gets one.
    #[schema(maximum = 100)]
    pub(crate) callbacks_percent: u8,
}

impl Faults {
    /// The name of a field that is out of its range.
    pub(crate) fn out_of_range(&self) -> Option<&'static str> {
        let ranges = [
            ("drop_answers_percent", u32::from(self.drop_answers_percent), 100),
            ("refuse_percent", u32::from(self.refuse_percent), 100),
            ("delay_ms", self.delay_ms, 60_000),
            ("duplicate_callbacks", u32::from(self.duplicate_callbacks), 5),
            ("late_callbacks_ms", self.late_callbacks_ms, 86_400_000),
            ("callbacks_percent", u32::from(self.callbacks_percent), 100),
        ];
        ranges.into_iter().find(|(_, value, max)| value > max).map(|(name, ..)| name)
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.into())
    }

    /// When each callback of one decision is due.
    pub(crate) fn callbacks(&self) -> Vec<Duration> {
        vec![Duration::from_millis(self.late_callbacks_ms.into()); 1 + usize::from(self.duplicate_callbacks)]
    }
}

/// Rolls dice: true in this share of cases. A UUIDv7 ends in random bits, and no other randomness is needed here.
pub(crate) fn happens(percent: u8) -> bool {
    percent > 0 && Uuid::now_v7().as_u128() % 100 < percent.into()
}

/// The faults in force; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultSwitch(Arc<RwLock<Faults>>);

impl FaultSwitch {
    /// Faults are plain values: a panic elsewhere cannot leave half of them.
    pub(crate) fn get(&self) -> Faults {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, faults: Faults) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_roughly_and_the_ends_exactly() {
        let count = |percent| (0..10_000).filter(|_| happens(percent)).count();
        assert_eq!((count(0), count(100)), (0, 10_000));
        assert!((1_600..2_400).contains(&count(20)));
    }
}
