//! What is seen of handled commands from outside: counters and times for everybody, and, where traces are collected, a span
//! per step in the trace of the request that began its saga.

use std::{sync::LazyLock, time::Instant};

use makegood_chassis::telemetry::{StepSpan, metrics};
use makegood_contracts::reply::Outcome;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
};

use super::delivery::Answer;

/// Commands are named as definitions name them: `inventory.hold_stock`. Only those that a participant knows are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    command: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCommand {
    command: String,
}

/// From one transaction on an idle machine (1 ms) to a provider that is waited for until its timeout.
const BUCKETS_SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

type Times = Family<ByCommand, Histogram, fn() -> Histogram>;

static COMMANDS: LazyLock<Family<ByOutcome, Counter>> = LazyLock::new(|| {
    let counters = Family::default();
    metrics().register(
        "makegood_commands",
        "Commands that were answered, by outcome; those that came again are counted again",
        Family::clone(&counters),
    );
    counters
});

static BATCHES: LazyLock<Times> = LazyLock::new(|| {
    let times = Times::new_with_constructor(|| Histogram::new(BUCKETS_SECONDS));
    metrics().register(
        "makegood_command_batch_seconds",
        "Batches of commands, and how long they took from their arrival to their outcome",
        Family::clone(&times),
    );
    times
});

/// A batch that is being handled.
pub(super) struct Handling {
    command: String,
    began: Instant,
}

impl Handling {
    /// Of commands on `cmd.<service>.<verb_noun>.v1`.
    pub(super) fn begin(subject: &str) -> Self {
        let command = subject.split('.').skip(1).take(2).collect::<Vec<_>>().join(".");
        Self { command, began: Instant::now() }
    }

    /// The outcomes are durable.
    pub(super) fn end(self, answers: &[Answer]) {
        let Self { command, began } = self;
        let took = began.elapsed();
        for answer in answers {
            let outcome = answer.reply.outcome.word();
            COMMANDS.get_or_create(&ByOutcome { command: command.clone(), outcome }).inc();
            let Some(traceparent) = &answer.traceparent else { continue };
            let span = StepSpan { command: &command, key: &answer.reply.key, attempt: answer.reply.attempt, outcome };
            span.record(traceparent, took, failure(&answer.reply.outcome));
        }
        BATCHES.get_or_create(&ByCommand { command }).observe(took.as_secs_f64());
    }
}

/// A refusal's code. What else stands in an outcome may quote a buyer, and has no place in a trace.
fn failure(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Refused { code, .. } => Some(code),
        Outcome::Failed { retryable: false, .. } => Some("defect"),
        Outcome::Failed { retryable: true, .. } => Some("retry"),
        Outcome::Done { .. } | Outcome::Pending { .. } => None,
    }
}
