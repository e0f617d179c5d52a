//! The wire: everything that two roles must agree on, and nothing else.
//!
//! Reading order: who ([`account`]), what things are called ([`id`]), what they cost ([`money`]), what people may write ([`plain_text`]),
//! how a step travels ([`command`], [`reply`]), where it travels ([`subject`]), what the rest of the
//! world is told ([`event`]), and then one module per participant with the payloads of its commands.
//!
//! Types here are plain data with serde; they do no I/O and read no clock. A change must be additive:
//! old and new pods run side by side during a rollout, so unknown fields are ignored on the way in.

pub mod account;
pub mod id;
pub mod money;
pub mod plain_text;

pub mod command;
pub mod event;
pub mod reply;
pub mod subject;

pub mod cart;
pub mod catalog;
pub mod fulfillment;
pub mod inventory;
pub mod orchestrator;
pub mod order;
pub mod order_return;
pub mod payment;
