//! An event tells the rest of the world what has become durably true.
//!
//! Events are read off the emitting service's log table and published on `evt.<name>.v1` (a JSON array,
//! as with commands). They may come twice, late and out of order: whoever applies one compares
//! `version`, which grows by one with each change of the same subject.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::account::Account;

/// One event as it travels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    pub id: Uuid,
    /// `noun.past_participle`, such as `product.priced`.
    pub name: String,
    #[serde(flatten)]
    pub account: Account,
    /// What it happened to: an order's id, a SKU.
    pub subject: String,
    /// The subject's version after this event.
    pub version: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    pub data: Value,
}
