//! The YAML as it is written, before anything is checked but its shape.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) saga: String,
    pub(super) version: u32,
    /// For people.
    #[serde(default)]
    #[expect(dead_code, reason = "read by people, not by the engine")]
    pub(super) description: Option<String>,
    pub(super) steps: Vec<Entry>,
    pub(super) finally: Option<Entry>,
}

/// A step, an await or a parallel group: which one is told by the fields that are there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) step: Option<String>,
    pub(super) command: Option<String>,
    pub(super) compensate: Option<String>,
    pub(super) pending: Option<String>,
    pub(super) pending_deadline: Option<String>,
    #[serde(default)]
    pub(super) input: BTreeMap<String, Value>,
    pub(super) output: Option<Value>,
    pub(super) when: Option<Value>,
    pub(super) timeout: Option<String>,
    pub(super) retry: Option<RetryEntry>,
    #[serde(default)]
    pub(super) pivot: bool,
    #[serde(rename = "await")]
    pub(super) signal: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) on_deadline: Option<OnDeadlineEntry>,
    pub(super) parallel: Option<Vec<Entry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryEntry {
    pub(super) attempts: Option<u32>,
    pub(super) initial: Option<String>,
    pub(super) factor: Option<u32>,
    pub(super) max: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnDeadlineEntry {
    Compensate,
    Continue,
    Park,
}
