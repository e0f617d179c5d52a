//! One side of a check between two services: which database, and what is asked of it.

use futures::{Stream, TryStreamExt as _};
use serde_json::Value;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::merge_join::Row;

/// A query for `(id uuid, facts jsonb)` in the order of id, each id once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side {
    pub(crate) service: &'static str,
    pub(crate) sql: &'static str,
}

impl Side {
    /// The rows as they come.
    pub(crate) fn rows<'c>(
        &self,
        connection: &'c mut PgConnection,
    ) -> impl Stream<Item = Result<Row<Value>, sqlx::Error>> + 'c {
        sqlx::query(self.sql).fetch(connection).and_then(|row| async move {
            let id: Uuid = row.try_get(0)?;
            let facts: Value = row.try_get(1)?;
            Ok((id, facts))
        })
    }
}
