//! The metrics of the census, under the names that the alert rules know.

use std::{
    collections::BTreeSet,
    hash::Hash,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
};

use makegood_chassis::telemetry::metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use time::OffsetDateTime;

use super::count::{Census, Urgent};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ByState {
    definition: String,
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ByStep {
    definition: String,
    step: String,
}

type Number = Gauge<f64, AtomicU64>;

/// Figures by label. One that is not found any more becomes zero: a series that vanishes looks to an alert like one that
/// was not read.
#[derive(Debug)]
struct Figures<L: Clone + Hash + Eq> {
    family: Family<L, Number>,
    told: Mutex<BTreeSet<L>>,
}

impl<L> Figures<L>
where
    L: Clone + Hash + Ord + EncodeLabelSet + std::fmt::Debug + Send + Sync + 'static,
{
    fn register(name: &str, help: &str) -> Self {
        let family = Family::default();
        metrics().register(name, help, Family::clone(&family));
        Self { family, told: Mutex::default() }
    }

    fn tell(&self, figures: impl IntoIterator<Item = (L, f64)>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeSet::new();
        for (labels, figure) in figures {
            self.family.get_or_create(&labels).set(figure);
            now.insert(labels);
        }
        for gone in told.difference(&now) {
            self.family.get_or_create(gone).set(0.0);
        }
        told.extend(now);
    }
}

#[derive(Debug)]
pub(super) struct Gauges {
    sagas: Figures<ByState>,
    oldest: Figures<ByState>,
    longest_step: Figures<ByState>,
    stuck: Figures<ByStep>,
    parked: Figures<ByStep>,
    late: Number,
    counted_at: Number,
}

impl Gauges {
    /// Once per process.
    pub(super) fn register() -> Self {
        let number = |name, help| {
            let number = Number::default();
            metrics().register(name, help, number.clone());
            number
        };
        Self {
            sagas: Figures::register("makegood_sagas", "Live sagas by definition and state"),
            oldest: Figures::register("makegood_saga_oldest_seconds", "Age of the oldest live saga in this state"),
            longest_step: Figures::register(
                "makegood_saga_longest_step_seconds",
                "How long the live saga that has stood longest at one step has stood there, by state",
            ),
            stuck: Figures::register(
                "makegood_sagas_stuck",
                "Live sagas, neither parked nor paused, that have been at their step for longer than it should take",
            ),
            parked: Figures::register(
                "makegood_sagas_parked",
                "Sagas that need an operator, by the step at which they stand",
            ),
            late: number(
                "makegood_saga_timer_late_seconds",
                "How long ago the most overdue saga should have been looked at; zero when none is overdue",
            ),
            counted_at: number(
                "makegood_saga_census_timestamp_seconds",
                "When all live sagas were last counted, in seconds after 1970",
            ),
        }
    }

    pub(super) fn tell(&self, census: &Census, now: OffsetDateTime) {
        let by_state = |figure: fn(&super::count::Tally) -> f64| {
            census.by_state.iter().map(move |((definition, state), tally)| {
                (ByState { definition: definition.clone(), state: state.clone() }, figure(tally))
            })
        };
        self.sagas.tell(by_state(|tally| tally.sagas as f64));
        self.oldest.tell(by_state(|tally| tally.oldest_seconds));
        self.longest_step.tell(by_state(|tally| tally.longest_step_seconds));
        self.counted_at.set(now.unix_timestamp() as f64);
    }

    pub(super) fn tell_urgent(&self, urgent: &Urgent) {
        for (figures, counts) in [(&self.parked, &urgent.parked), (&self.stuck, &urgent.stuck)] {
            figures.tell(counts.iter().map(|(definition, step, sagas)| {
                (ByStep { definition: definition.clone(), step: step.clone() }, *sagas as f64)
            }));
        }
        self.late.set(urgent.late_seconds.max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_any_more_becomes_zero() {
        let figures = Figures::register("makegood_test_sagas", "For a test");
        let labels = |step: &str| ByStep { definition: "trip".to_owned(), step: step.to_owned() };
        figures.tell([(labels("book"), 3.0), (labels("pay"), 1.0)]);
        figures.tell([(labels("pay"), 2.0)]);
        let figure = |step| figures.family.get_or_create(&labels(step)).get();
        assert_eq!((figure("book"), figure("pay")), (0.0, 2.0));
    }
}
