//! Payment against a real PostgreSQL and a real provider: the sandbox, served on a loopback port.

mod world;

mod authorize_and_capture;
mod refunds;
mod voids;
mod voids_by_hand;

mod authentication;
mod callbacks;
mod inquiries;
mod unknown_outcomes;

mod ledger_is_append_only;
mod random_histories;
