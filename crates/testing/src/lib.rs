//! What the services' own tests share: a database for each test, commands as a participant hands them over, and the
//! routes as a shop's callers reach them.
//!
//! A dev-dependency only. A missing server fails a test rather than skipping it: a skipped test proves nothing.

mod database;
mod job;
mod nats;
mod shop_api;

pub use database::TestDatabase;
pub use job::{SHOP, job};
pub use nats::{nats_client, nats_url};
pub use shop_api::ShopApi;
