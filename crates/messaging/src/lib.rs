//! JetStream as transport, never as truth: batches in, one transaction, replies out, then the ack.
//!
//! [`bus`] is the connection and its streams. [`participant`] runs a service's commands in batches, each once by the
//! [`barrier`] in the effect's own transaction, whose rows go when their sagas are gone ([`barrier_dropping`]); what cannot be handled is parked in [`dead_letter`], for operators.
//! [`event_log`] writes down what has become true, and publishes and applies it.

pub mod at_hand;
pub mod backoff;
pub mod barrier;
pub mod barrier_dropping;
pub mod bus;
pub mod consumer;
pub mod dead_letter;
pub mod event_log;
pub mod lasting;
pub mod participant;
pub mod worker;
