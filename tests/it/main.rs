//! System tests: the promises of the design, kept by real processes. One binary, one system at a time.

mod cancel_order;
mod chaos;
mod checkout;
mod cli;
mod crashes;
mod dead_letters;
mod events_held_back;
mod every_step;
mod expiry;
mod failpoints;
mod one_key_one_answer;
mod operators;
mod oversell;
mod own_steps;
mod poison;
mod provider_faults;
mod replicas;
mod retention;
mod return_order;
mod watching;
