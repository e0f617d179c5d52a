//! What the services' own tests share: a database for each test, and commands as a participant hands them over.
//!
//! A dev-dependency only. A missing server fails a test rather than skipping it: a skipped test proves nothing.

mod database;
mod job;

pub use database::TestDatabase;
pub use job::{SHOP, job};
