//! Proof that sagas keep their promises, by three means that share one thing: all run the transition function of
//! `makegood-saga` that the orchestrator runs. docs/proof.md tells what is proven how, and what is not.
//!
//! - [`model`]: one saga of any definition, with two orchestrators, participants behind barriers and a network that may do
//!   anything. Time is abstract: whatever is due may happen. A model checker walks through all of it, and random walks
//!   go through definitions that nobody wrote.
//! - [`simulation`]: many checkouts at once on a virtual clock, with the services' own rules and the faults of a bad day,
//!   all from one seed.
//! - [`bug`]: mistakes made on purpose, each of which one of the two must find.

pub mod bug;
pub mod engine;
pub mod model;
pub mod simulation;
