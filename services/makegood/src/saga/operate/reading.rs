//! Sagas, read over the admin API.

use serde_json::Value;

use super::filter::Filter;
use crate::client::{admin::Admin, api::Answer};

impl Admin {
    /// The sagas that match.
    pub(super) async fn sagas(&self, filter: &Filter, limit: usize) -> anyhow::Result<(Vec<Value>, bool)> {
        self.rows("/v1/admin/sagas", &filter.query(), limit).await
    }

    /// One saga with its timeline, and its entity tag.
    pub(super) async fn saga(&self, id: &str) -> anyhow::Result<Answer> {
        self.get(&format!("/v1/admin/sagas/{id}")).await
    }
}
