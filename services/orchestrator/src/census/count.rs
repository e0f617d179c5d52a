//! The counting itself, in SQL.

use std::collections::BTreeMap;

use sqlx::PgPool;
use uuid::Uuid;

use crate::stuck::{StuckLimits, is_stuck};

/// Live sagas of one definition in one state.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Tally {
    pub(super) sagas: i64,
    /// Age of the oldest one.
    pub(super) oldest_seconds: f64,
    /// How long the one that has stood longest has stood at its step.
    pub(super) longest_step_seconds: f64,
}

/// What one walk has found, by definition and state.
#[derive(Debug, Default)]
pub(super) struct Census {
    pub(super) by_state: BTreeMap<(String, String), Tally>,
}

#[derive(sqlx::FromRow)]
struct Row {
    definition: String,
    state: String,
    sagas: i64,
    oldest_seconds: f64,
    longest_step_seconds: f64,
    last: Option<Uuid>,
}

impl Census {
    /// Adds the next live sagas after an id, and returns the id to go on after; none at the end.
    pub(super) async fn add_part(&mut self, db: &PgPool, after: Uuid, size: i64) -> Result<Option<Uuid>, sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(
            r"with part as (
                  select id, definition, state, created_at, step_since from saga
                  where finished_at is null and id > $1 order by id limit $2)
              select definition, state, count(*) as sagas,
                     extract(epoch from now() - min(created_at))::float8 as oldest_seconds,
                     extract(epoch from now() - min(step_since))::float8 as longest_step_seconds,
                     (select id from part order by id desc limit 1) as last
              from part group by definition, state",
        )
        .bind(after)
        .bind(size)
        .fetch_all(db)
        .await?;
        let found: i64 = rows.iter().map(|row| row.sagas).sum();
        let last = rows.first().and_then(|row| row.last);
        for row in rows {
            let tally = self.by_state.entry((row.definition, row.state)).or_default();
            tally.sagas += row.sagas;
            tally.oldest_seconds = tally.oldest_seconds.max(row.oldest_seconds);
            tally.longest_step_seconds = tally.longest_step_seconds.max(row.longest_step_seconds);
        }
        Ok(if found < size { None } else { last })
    }
}

/// What an index tells at any time.
#[derive(Debug, Default)]
pub(super) struct Urgent {
    /// Parked sagas by definition and step.
    pub(super) parked: Vec<(String, String, i64)>,
    /// Stuck ones.
    pub(super) stuck: Vec<(String, String, i64)>,
    /// How long ago the most overdue saga should have been looked at; negative when none is due.
    pub(super) late_seconds: f64,
}

pub(super) async fn urgent(db: &PgPool, limits: &StuckLimits) -> Result<Urgent, sqlx::Error> {
    let parked = sqlx::query_as(
        "select definition, coalesce(step, ''), count(*) from saga where parked_at is not null group by definition, step",
    )
    .fetch_all(db)
    .await?;
    let stuck = sqlx::query_as(concat!(
        "select definition, coalesce(step, ''), count(*) from saga where ",
        is_stuck!("$1", "$2", "$3", "$4", "$5", "$6"),
        " group by definition, step"
    ))
    .bind(limits.horizon_seconds)
    .bind(&limits.definitions)
    .bind(&limits.versions)
    .bind(&limits.steps)
    .bind(&limits.active_seconds)
    .bind(&limits.waiting_seconds)
    .fetch_all(db)
    .await?;
    // The end of the index.
    let late_seconds: Option<f64> = sqlx::query_scalar(
        "select extract(epoch from now() - wake_at)::float8 from saga where wake_at is not null order by wake_at limit 1",
    )
    .fetch_optional(db)
    .await?;
    Ok(Urgent { parked, stuck, late_seconds: late_seconds.unwrap_or_default() })
}
