//! Days of sagas that go and days that stay, on a real database.

use std::time::Duration;

use makegood_testing::TestDatabase;
use tokio::time::Instant;
use uuid::{NoContext, Timestamp, Uuid};

use super::*;
use crate::{MIGRATOR, invariants::INVARIANTS};

const KEPT_DAYS: u16 = 90;
const DAY: u64 = 24 * 3600;

/// A database in which each of the last 120 days has its tables.
async fn open() -> (TestDatabase, SagaDropping) {
    let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
    sqlx::query("select make_day_partitions('saga_log', 120, 7), make_day_partitions('finished_saga', 120, 7)")
        .execute(&database.db)
        .await
        .expect("makes the days");
    let dropping = SagaDropping::new(database.db.clone(), KEPT_DAYS);
    (database, dropping)
}

async fn now(db: &PgPool) -> OffsetDateTime {
    sqlx::query_scalar("select now()").fetch_one(db).await.expect("the time")
}

async fn id_of_days_ago(db: &PgPool, days: u64) -> Uuid {
    let seconds = u64::try_from(now(db).await.unix_timestamp()).expect("after 1970") - days * DAY;
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0))
}

/// A saga that began so many days ago and ended so many days ago.
async fn ended(db: &PgPool, began: u64, ended: f64) -> Uuid {
    let id = id_of_days_ago(db, began).await;
    sqlx::query(
        r"with logged as (insert into saga_log (saga_id, revision, event) values ($1, 1, '{}'))
          insert into finished_saga (id, definition, version, reference, state, revision, progress, input, created_at, finished_at)
          values ($1, 'trip', 1, $1::text, 'completed', 1, '{}', '{}', now(), now() - make_interval(secs => $2 * 86400))",
    )
    .bind(id)
    .bind(ended)
    .execute(db)
    .await
    .expect("writes a saga");
    id
}

/// A saga that began so many days ago and still waits.
async fn live(db: &PgPool, began: u64) -> Uuid {
    let id = id_of_days_ago(db, began).await;
    sqlx::query(
        r"with logged as (insert into saga_log (saga_id, revision, event) values ($1, 1, '{}'))
          insert into saga (id, definition, version, reference, state, step, revision, progress, input, wake_at)
          values ($1, 'trip', 1, $1::text, 'waiting', 'consent', 1, '{}', '{}', now() + interval '1 day')",
    )
    .bind(id)
    .execute(db)
    .await
    .expect("writes a saga");
    id
}

async fn end(db: &PgPool, id: Uuid) {
    sqlx::query(
        r"with ended as (delete from saga where id = $1 returning *)
          insert into finished_saga (id, definition, version, reference, state, revision, progress, input, created_at)
          select id, definition, version, reference, 'completed', revision, progress, input, created_at from ended",
    )
    .bind(id)
    .execute(db)
    .await
    .expect("ends");
}

async fn is_there(db: &PgPool, id: Uuid) -> (bool, bool) {
    sqlx::query_as(
        "select exists (select from every_saga where id = $1), exists (select from saga_log where saga_id = $1)",
    )
    .bind(id)
    .fetch_one(db)
    .await
    .expect("looks")
}

async fn days_with_tables(db: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_inherits where inhparent in ('saga_log'::regclass, 'finished_saga'::regclass)",
    )
    .fetch_one(db)
    .await
    .expect("counts")
}

#[tokio::test]
async fn days_that_are_past_go_and_those_that_are_kept_stay() {
    let (database, mut dropping) = open().await;
    let db = &database.db;
    let past = ended(db, 100, 99.0).await;
    let just_past = ended(db, 92, 91.0).await;
    let kept = ended(db, 89, 88.0).await;
    let before = days_with_tables(db).await;

    let dropped = dropping.round(now(db).await).await.expect("drops");
    assert!((29..=31).contains(&dropped.len()), "{dropped:?}");
    assert_eq!(days_with_tables(db).await, before - 2 * i64::try_from(dropped.len()).expect("few"));
    for (id, stays) in [(past, false), (just_past, false), (kept, true)] {
        assert_eq!(is_there(db, id).await, (stays, stays), "{id}");
    }
    assert_eq!(dropping.round(now(db).await).await.expect("nothing is left to drop"), []);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_day_stays_while_one_of_its_sagas_lives_and_until_its_last_end_is_past() {
    let (database, mut dropping) = open().await;
    let db = &database.db;
    let neighbour = ended(db, 100, 99.0).await;
    let straggler = live(db, 100).await;
    let late = ended(db, 110, 3.0).await;
    let time = now(db).await;

    dropping.round(time).await.expect("drops other days");
    for id in [neighbour, straggler, late] {
        assert_eq!(is_there(db, id).await, (true, true), "{id}");
    }
    end(db, straggler).await;
    dropping.round(time).await.expect("the straggler has only just ended");
    assert_eq!(is_there(db, straggler).await, (true, true));
    let day_of_late = dropping.round(time + time::Duration::days(88)).await.expect("drops");
    assert_eq!((day_of_late.len(), is_there(db, late).await), (1, (false, false)));
    let day_of_straggler = dropping.round(time + time::Duration::days(91)).await.expect("drops");
    assert_eq!((day_of_straggler.len(), is_there(db, straggler).await), (1, (false, false)));
    database.verify_and_drop(INVARIANTS).await;
}

/// The look at the live sagas before a day is read may be long ago when it is dropped.
#[tokio::test]
async fn a_saga_that_lives_when_its_day_is_to_go_keeps_it() {
    let (database, dropping) = open().await;
    let db = &database.db;
    dropping.raise_limit().await.expect("raises it");
    let day = (now(db).await - time::Duration::days(100)).date();
    let straggler = live(db, 100).await;
    assert_eq!(dropping.drop_day(day).await.expect("asks"), Dropped::No);
    assert_eq!(is_there(db, straggler).await, (true, true));
    let kept = (now(db).await - time::Duration::days(80)).date();
    let refused = dropping.drop_day(kept).await.expect_err("that day is kept");
    assert!(refused.to_string().contains("are kept"), "{refused}");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn participants_are_told_the_oldest_day_of_which_a_saga_is_left() {
    let (database, mut dropping) = open().await;
    let db = &database.db;
    let day_of = async |days: i32| -> Uuid {
        sqlx::query_scalar("select uuidv7_floor(date_trunc('day', now() - make_interval(days => $1), 'UTC'))")
            .bind(days)
            .fetch_one(db)
            .await
            .expect("a day")
    };
    let straggler = live(db, 100).await;
    let time = now(db).await;
    dropping.round(time).await.expect("drops other days");
    assert_eq!(dropping.gone_before().await.expect("tells"), day_of(100).await);
    end(db, straggler).await;
    dropping.round(time + time::Duration::days(91)).await.expect("drops its day");
    assert_eq!(dropping.gone_before().await.expect("tells"), day_of(i32::from(KEPT_DAYS)).await);
    // One whose day never had a table, and one whose id has no day at all.
    let homeless = live(db, 200).await;
    sqlx::query("update saga set id = '00000000-0000-4000-8000-000000000001' where id = $1")
        .bind(live(db, 1).await)
        .execute(db)
        .await
        .expect("gives it an id of version 4");
    assert_eq!(dropping.gone_before().await.expect("tells"), homeless);
    database.verify_and_drop(&[]).await;
}

#[tokio::test]
async fn replicas_that_drop_at_once_drop_each_day_once() {
    let (database, mut one) = open().await;
    let db = &database.db;
    let mut other = SagaDropping::new(db.clone(), KEPT_DAYS);
    let before = days_with_tables(db).await;
    let time = now(db).await;
    let (by_one, by_other) = tokio::join!(one.round(time), other.round(time));
    let (by_one, by_other) = (by_one.expect("drops"), by_other.expect("drops"));
    assert!(by_one.iter().all(|day| !by_other.contains(day)), "{by_one:?} {by_other:?}");
    let dropped = by_one.len() + by_other.len();
    assert!((29..=31).contains(&dropped), "{by_one:?} {by_other:?}");
    assert_eq!(days_with_tables(db).await, before - 2 * i64::try_from(dropped).expect("few"));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_long_reader_keeps_nobody_waiting_but_us_and_it_is_tried_again() {
    let (database, mut dropping) = open().await;
    let db = &database.db;
    let past = ended(db, 100, 99.0).await;
    let mut reader = db.begin().await.expect("begins");
    sqlx::query("select count(*) from saga_log").execute(&mut *reader).await.expect("reads");

    let begun = Instant::now();
    let time = now(db).await;
    let refused = dropping.round(time).await.expect_err("the reader is there");
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(is_there(db, past).await, (true, true));
    drop(reader);
    dropping.round(time).await.expect("the reader is gone");
    assert_eq!(is_there(db, past).await, (false, false));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn what_a_bulk_operation_could_not_do_goes_with_the_sagas_and_the_operation_stays() {
    let (database, mut dropping) = open().await;
    let db = &database.db;
    for ended_days_ago in [91_i32, 89] {
        sqlx::query(
            r"with operation as (
                  insert into bulk_operation (id, account_id, livemode, actor, reason, operation, filter, rate_per_second, state,
                                              matches, refused, ended_at)
                  values (gen_random_uuid(), gen_random_uuid(), false, 'ann', 'a test', '{}', '{}', 1, 'done', 1, 1,
                          now() - make_interval(days => $1)) returning id)
              insert into bulk_operation_saga (bulk_operation_id, saga_id, outcome, detail)
              select id, gen_random_uuid(), 'refused', 'it has ended' from operation",
        )
        .bind(ended_days_ago)
        .execute(db)
        .await
        .expect("writes an operation");
    }
    dropping.round(now(db).await).await.expect("drops");
    let left: (i64, i64) =
        sqlx::query_as("select (select count(*) from bulk_operation), (select count(*) from bulk_operation_saga)")
            .fetch_one(db)
            .await
            .expect("counts");
    assert_eq!(left, (2, 1));
    database.verify_and_drop(INVARIANTS).await;
}
