//! What every command that talks to a running deployment shares: where it is, one call of its API, how results are written.

pub(crate) mod admin;
pub(crate) mod api;
pub(crate) mod deployment;
pub(crate) mod duration;
pub(crate) mod output;
pub(crate) mod terminal;
