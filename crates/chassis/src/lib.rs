//! What every role stands on: configuration, the database, HTTP, health, telemetry, an orderly end.
//!
//! Reading order follows a process's life: it reads its [`config`], opens its [`database`], asks it for the
//! time ([`clock`]), starts a thread per role ([`role`]) and serves [`http`], where each request passes
//! [`auth`], is read by [`extract`], is done once ([`idempotency`]), and fails as a [`problem`]. [`ops`] answers
//! the platform, [`telemetry`] tells people, [`shutdown`] ends it all. Where requests are many, a [`batcher`] makes
//! one statement of them. A [`failpoint`] is where a test may have a process die.
//!
//! No business word belongs here, and no NATS: that is `makegood-messaging`.

pub mod config;
pub mod database;

pub mod clock;
pub mod role;
pub mod shutdown;

pub mod http;

pub mod auth;
pub mod batcher;
pub mod bearer_token;
pub mod callback_signature;
pub mod entity_tag;
pub mod extract;
pub mod idempotency;
pub mod operator_reason;
pub mod page;
pub mod problem;
pub mod sealed_id;
pub mod secret;

pub mod ops;
pub mod telemetry;
pub mod tls;

pub mod failpoint;
pub mod invariant;

#[cfg(test)]
mod test_database;
