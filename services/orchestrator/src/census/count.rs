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
                  where id > $1 order by id limit $2)
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

#[cfg(test)]
mod tests {
    use makegood_testing::TestDatabase;

    use super::*;
    use crate::{MIGRATOR, definitions::Definitions, invariants::INVARIANTS};

    /// A saga that began so many seconds ago, has been at its step for so many, and whose timer is so many ahead.
    async fn saga(db: &PgPool, state: &str, (began, stood, timer): (f64, f64, Option<f64>)) {
        sqlx::query(
            r"with begun as (insert into saga_log (saga_id, revision, event) values ($1, 1, '{}'))
              insert into saga (id, definition, version, reference, state, step, revision, progress, input, reason, created_at,
                                step_since, wake_at, parked_at)
              select $1, 'trip', 1, $1::text, $2, 'book_flight', 1, '{}', '{}', '{}', now() - make_interval(secs => $3),
                     now() - make_interval(secs => $4), now() + make_interval(secs => $5),
                     case when $2 = 'parked' then now() end",
        )
        .bind(Uuid::now_v7())
        .bind(state)
        .bind(began)
        .bind(stood)
        .bind(timer)
        .execute(db)
        .await
        .expect("writes a saga");
    }

    async fn with_trip() -> (TestDatabase, StuckLimits) {
        let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
        let yaml =
            "saga: trip\nversion: 1\nsteps:\n  - step: book_flight\n    command: flights.book_flight\n    input: {}\n";
        sqlx::query("insert into definition (name, version, yaml, sha256) values ('trip', 1, $1, '')")
            .bind(yaml)
            .execute(&database.db)
            .await
            .expect("writes a definition");
        let definitions: Definitions =
            crate::definitions::DefinitionShelf::new(database.db.clone()).current().await.expect("it is sound");
        let limits = StuckLimits::of(&definitions);
        (database, limits)
    }

    #[tokio::test]
    async fn live_sagas_are_counted_once_each_however_small_the_parts() {
        let (database, _) = with_trip().await;
        for seconds in [10.0, 500.0, 30.0] {
            saga(&database.db, "running", (seconds, 5.0, Some(3.0))).await;
        }
        saga(&database.db, "compensating", (90.0, 40.0, Some(3.0))).await;
        for size in [1, 2, 3, 4, 10] {
            let (mut census, mut after) = (Census::default(), Some(Uuid::nil()));
            while let Some(from) = after {
                after = census.add_part(&database.db, from, size).await.expect("counts");
            }
            let tally = |state: &str| census.by_state[&("trip".to_owned(), state.to_owned())];
            assert_eq!((tally("running").sagas, tally("compensating").sagas), (3, 1), "parts of {size}");
            assert!((500.0..600.0).contains(&tally("running").oldest_seconds), "{census:?}");
            assert!((40.0..90.0).contains(&tally("compensating").longest_step_seconds), "{census:?}");
        }
        database.verify_and_drop(INVARIANTS).await;
    }

    #[tokio::test]
    async fn what_is_parked_stuck_or_late_is_seen_at_once() {
        let (database, limits) = with_trip().await;
        let urgent_now = async || urgent(&database.db, &limits).await.expect("counts");
        let quiet = urgent_now().await;
        assert!(quiet.parked.is_empty() && quiet.stuck.is_empty() && quiet.late_seconds <= 0.0, "{quiet:?}");

        saga(&database.db, "running", (4_000.0, 2.0, Some(3.0))).await;
        saga(&database.db, "parked", (4_000.0, 4_000.0, None)).await;
        saga(&database.db, "running", (4_000.0, 4_000.0, Some(-40.0))).await;
        let found = urgent_now().await;
        let one = vec![("trip".to_owned(), "book_flight".to_owned(), 1)];
        assert_eq!((&found.parked, &found.stuck), (&one, &one));
        assert!((40.0..60.0).contains(&found.late_seconds), "{found:?}");
        database.verify_and_drop(INVARIANTS).await;
    }
}
