//! How far a service's events are behind being told, as metrics: for alerts, since nobody misses an event that was never told.

use std::sync::{LazyLock, atomic::AtomicU64};

use makegood_chassis::telemetry::metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    service: &'static str,
}

struct Gauges {
    oldest_untold: Family<Labels, Gauge<f64, AtomicU64>>,
    held_back: Family<Labels, Gauge>,
}

static GAUGES: LazyLock<Gauges> = LazyLock::new(|| {
    let gauges = Gauges { oldest_untold: Family::default(), held_back: Family::default() };
    metrics().register(
        "makegood_event_oldest_untold_seconds",
        "How long the oldest event that was not told yet has waited",
        Family::clone(&gauges.oldest_untold),
    );
    metrics().register(
        "makegood_event_held_back",
        "1 while events are not told since a consumer would lose what it has yet to read",
        Family::clone(&gauges.held_back),
    );
    gauges
});

/// Sets what was found of a service's events.
pub(super) fn set(service: &'static str, oldest_untold_seconds: f64, is_held_back: bool) {
    let labels = Labels { service };
    GAUGES.oldest_untold.get_or_create(&labels).set(oldest_untold_seconds);
    GAUGES.held_back.get_or_create(&labels).set(is_held_back.into());
}
