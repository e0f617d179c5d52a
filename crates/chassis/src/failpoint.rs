//! Failpoints: where a process may be told to die, so that tests see what is left (tests/it/failpoints.rs, decision 0017).
//!
//! They lie between two things that a crash could part: a commit and what follows from it, an effect and its record. The
//! whole list is [`Failpoint`], and a test dies at each of them. Nothing happens at one, and it costs one look at memory,
//! unless the process was [`arm`]ed for it when it began. It then ends without unwinding, flushing or saying goodbye.

use std::{
    num::NonZeroU32,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use clap::ValueEnum;

/// Where a process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Failpoint {
    /// Messages are taken, and nothing of them is written.
    #[value(name = "orchestrator.before_write")]
    OrchestratorBeforeWrite,
    /// Sagas have moved, and nobody is told what follows; the messages that moved them are not acked.
    #[value(name = "orchestrator.after_commit")]
    OrchestratorAfterCommit,
    /// What follows is out. The acks are sent beside it, so they may have arrived or not.
    #[value(name = "orchestrator.after_publish")]
    OrchestratorAfterPublish,
    /// Some of the sagas that live have been told to send again what is out.
    #[value(name = "orchestrator.during_recovery")]
    OrchestratorDuringRecovery,
    /// A batch of a bulk operation is written, its commands are not out, and the next batch has not begun.
    #[value(name = "orchestrator.between_bulk_batches")]
    OrchestratorBetweenBulkBatches,

    /// Commands are read, and nothing of them is done.
    #[value(name = "participant.before_effect")]
    ParticipantBeforeEffect,
    /// Effect and outcome are written, and not committed.
    #[value(name = "participant.before_commit")]
    ParticipantBeforeCommit,
    /// Effect and outcome are durable, and nobody is told.
    #[value(name = "participant.before_reply")]
    ParticipantBeforeReply,
    /// The replies are out, and the commands are not acked.
    #[value(name = "participant.before_ack")]
    ParticipantBeforeAck,

    /// Operations are stored as begun, and the provider has not heard of them.
    #[value(name = "payment.before_call")]
    PaymentBeforeCall,
    /// The provider has answered, and nobody has written it down.
    #[value(name = "payment.after_call")]
    PaymentAfterCall,

    /// Checkouts are accepted, their buyers are not told so, and no saga has begun.
    #[value(name = "order.before_start")]
    OrderBeforeStart,
    /// A request's effect and its stored answer are durable, and its caller is not told.
    #[value(name = "http.before_answer")]
    HttpBeforeAnswer,
    /// Events are told, and the relay has not written down how far it has come.
    #[value(name = "event_relay.before_save")]
    EventRelayBeforeSave,
}

/// A failpoint, and on which pass of it the process dies: `orchestrator.after_commit=3`, or without a number the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    pub at: Failpoint,
    pub on_pass: NonZeroU32,
}

/// What is wrong with the name of a failpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDeath {
    #[error("there is no failpoint `{name}`; there are {known}")]
    UnknownFailpoint { name: String, known: String },
    #[error("`{0}` is no pass of a failpoint: passes count from 1")]
    NoPass(String),
}

impl Failpoint {
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl FromStr for Death {
    type Err = NoDeath;

    fn from_str(text: &str) -> Result<Self, NoDeath> {
        let (name, pass) = text.split_once('=').unwrap_or((text, "1"));
        let at = Failpoint::from_str(name, false).map_err(|_| NoDeath::UnknownFailpoint {
            name: name.to_owned(),
            known: Failpoint::all().iter().map(|known| known.name()).collect::<Vec<_>>().join(", "),
        })?;
        let on_pass = pass.parse().map_err(|_| NoDeath::NoPass(pass.to_owned()))?;
        Ok(Self { at, on_pass })
    }
}

struct Armed {
    death: Death,
    passes: AtomicU32,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Has this process die; the first call decides.
pub fn arm(death: Death) {
    ARMED.get_or_init(|| Armed { death, passes: AtomicU32::new(0) });
}

/// The process is at a failpoint.
#[inline]
pub fn pass(at: Failpoint) {
    if let Some(armed) = ARMED.get() {
        armed.pass(at);
    }
}

impl Armed {
    #[cold]
    fn pass(&self, at: Failpoint) {
        if at == self.death.at && self.passes.fetch_add(1, Ordering::Relaxed) + 1 == self.death.on_pass.get() {
            eprintln!("failpoint {} reached: this process was told to die here", at.name());
            // No unwinding, no destructors, no flushing: to the database and the broker it is a kill.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_death_names_its_failpoint_and_its_pass() {
        let death = |text: &str| text.parse::<Death>();
        let third = Death { at: Failpoint::OrchestratorAfterCommit, on_pass: NonZeroU32::new(3).expect("not zero") };
        assert_eq!(death("orchestrator.after_commit=3"), Ok(third));
        assert_eq!(death("orchestrator.after_commit"), Ok(Death { on_pass: NonZeroU32::MIN, ..third }));
        for none in ["orchestrator.after_commit=0", "orchestrator.after_commit=", "orchestrator.after_commit=x"] {
            assert!(matches!(death(none), Err(NoDeath::NoPass(_))), "{none}");
        }
        let unknown = death("orchestrator.at_lunch").expect_err("there is none").to_string();
        assert!(unknown.contains("participant.before_ack"), "{unknown}");
    }

    #[test]
    fn each_failpoint_has_a_name_of_its_own() {
        let names: HashSet<String> = Failpoint::all().iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Failpoint::all().len());
        assert!(names.iter().all(|name| name.contains('.')), "{names:?}");
    }
}
