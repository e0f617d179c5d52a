//! The pure saga engine: what a saga is and how it moves. No clock, no I/O, no async.
//!
//! A [`definition`] is a table of steps. A [`state`] says how far one saga has come. [`transition`](transition::transition)
//! takes a state and an [`event`] and returns the next state with its [`effect`]s as data; the orchestrator performs
//! them. Live runs, recovery and every test use this one function, so what was checked is what runs.
//!
//! The engine knows no business step: names, commands and inputs come from the definition.

pub mod context;
pub mod definition;
pub mod draw;
pub mod effect;
pub mod event;
pub mod rehearsal;
pub mod state;
pub mod transition;
