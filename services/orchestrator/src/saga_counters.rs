//! What this replica has done, as metrics: counters to be summed over replicas, where the census tells what is.

use std::sync::LazyLock;

use makegood_chassis::telemetry::metrics;
use makegood_contracts::{command::Command, orchestrator::Ending};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDefinition {
    definition: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnding {
    definition: String,
    ended: &'static str,
}

/// Subjects are made from the commands that definitions name, so there are no more of them than that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySubject {
    subject: String,
}

/// From four steps on an idle machine (5 ms) over a 3-D Secure challenge (minutes) to a return by post (weeks).
const BUCKETS_SECONDS: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0, 86_400.0, 604_800.0, 2_592_000.0];

type Durations = Family<ByEnding, Histogram, fn() -> Histogram>;

struct Counters {
    began: Family<ByDefinition, Counter>,
    ended: Durations,
    sent: Family<BySubject, Counter>,
    sent_again: Family<BySubject, Counter>,
}

static COUNTERS: LazyLock<Counters> = LazyLock::new(|| {
    let counters = Counters {
        began: Family::default(),
        ended: Durations::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS)),
        sent: Family::default(),
        sent_again: Family::default(),
    };
    metrics().register("makegood_sagas_begun", "Sagas that were begun", counters.began.clone());
    metrics().register(
        "makegood_saga_seconds",
        "Sagas that have ended, and how long they took from their start",
        counters.ended.clone(),
    );
    metrics().register("makegood_saga_commands_sent", "Commands to participants", counters.sent.clone());
    metrics().register(
        "makegood_saga_commands_sent_again",
        "Of these, further attempts: no answer came in time, or the answer was to try again",
        counters.sent_again.clone(),
    );
    counters
});

pub(crate) fn began(definition: &str) {
    COUNTERS.began.get_or_create(&ByDefinition { definition: definition.to_owned() }).inc();
}

pub(crate) fn ended(definition: &str, ending: Ending, took_seconds: f64) {
    let ended = match ending {
        Ending::Completed => "completed",
        Ending::Compensated => "compensated",
    };
    COUNTERS.ended.get_or_create(&ByEnding { definition: definition.to_owned(), ended }).observe(took_seconds);
}

/// These commands are on their way.
pub(crate) fn sent(subject: &str, commands: &[&Command]) {
    let labels = BySubject { subject: subject.to_owned() };
    COUNTERS.sent.get_or_create(&labels).inc_by(commands.len() as u64);
    let again = commands.iter().filter(|command| command.attempt > 1).count();
    COUNTERS.sent_again.get_or_create(&labels).inc_by(again as u64);
}
