//! Whose data it is. Every stored row and every key belongs to one account in one mode.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A shop, in test or in live mode. The two modes share nothing but the shop's name:
/// a test key never sees a live order, and the sandbox provider serves test mode only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account {
    #[serde(rename = "account_id")]
    pub id: Uuid,
    pub livemode: bool,
}
