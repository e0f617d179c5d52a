//! Days of the barrier that go and days that stay, on a real database.

use std::time::Instant;

use futures::stream;
use makegood_contracts::{
    command::{Direction, StepKey},
    reply::Outcome,
};
use makegood_testing::TestDatabase;
use sqlx::{PgConnection, pool::PoolConnection};
use uuid::{NoContext, Timestamp};

use super::*;
use crate::barrier::{self, AlreadyDecided, Forgotten};

static NO_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate::Migrator::DEFAULT;

/// An id of version 4: it has no day, wherever it sorts.
const OF_NO_DAY: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0001);

/// A database in which each of the last 120 days has its table.
async fn open() -> (TestDatabase, PoolConnection<sqlx::Postgres>) {
    let database = TestDatabase::create("messaging", &NO_MIGRATIONS).await;
    sqlx::query("select make_day_partitions('barrier', 120, 7)").execute(&database.db).await.expect("makes the days");
    let connection = database.db.acquire().await.expect("a connection");
    (database, connection)
}

async fn id_of_days_ago(conn: &mut PgConnection, days: i32) -> Uuid {
    let seconds: i64 = sqlx::query_scalar("select extract(epoch from now() - make_interval(days => $1))::bigint")
        .bind(days)
        .fetch_one(conn)
        .await
        .expect("the time");
    Uuid::new_v7(Timestamp::from_unix(NoContext, u64::try_from(seconds).expect("after 1970"), 0))
}

fn key(saga_id: Uuid, direction: Direction) -> StepKey {
    StepKey { saga_id, step: "pay".to_owned(), direction }
}

async fn record(conn: &mut PgConnection, saga_id: Uuid) -> anyhow::Result<()> {
    barrier::record_first(conn, &[(&key(saga_id, Direction::Do), &Outcome::done())]).await
}

async fn outcome(conn: &mut PgConnection, saga_id: Uuid) -> Option<Outcome> {
    barrier::outcomes(conn, &[&key(saga_id, Direction::Do)]).await.expect("reads").remove(0)
}

fn note(before: Uuid) -> Vec<u8> {
    serde_json::to_vec(&[SagasGone { before }]).expect("JSON")
}

async fn days(conn: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from pg_inherits where inhparent = 'barrier'::regclass")
        .fetch_one(conn)
        .await
        .expect("counts")
}

#[tokio::test]
async fn days_whose_sagas_are_gone_go_and_commands_of_theirs_are_refused() {
    let (database, mut conn) = open().await;
    let (gone, limit) = (id_of_days_ago(&mut conn, 100).await, id_of_days_ago(&mut conn, 90).await);
    let kept = [id_of_days_ago(&mut conn, 89).await, Uuid::now_v7(), OF_NO_DAY];
    for saga in kept.into_iter().chain([gone]) {
        record(&mut conn, saga).await.expect("decides");
    }
    let before = days(&mut conn).await;

    // One that is not believed, one that is no note, one twice, and one that says less than another.
    let told = [note(Uuid::now_v7()), note(limit), b"no note".to_vec(), note(gone), note(limit)];
    follow(&database.db, &Shutdown::default(), stream::iter(told)).await;
    let dropped = before - days(&mut conn).await;
    assert!((29..=31).contains(&dropped), "{dropped}");
    for saga in kept {
        let error = record(&mut conn, saga).await.expect_err("it was decided before");
        assert!(error.is::<AlreadyDecided>(), "{error:#}");
    }
    // Of the gone one nothing is known; neither it nor its undo may pass for something new.
    let error = record(&mut conn, gone).await.expect_err("its day is gone");
    assert!(error.is::<Forgotten>(), "{error:#}");
    let error = barrier::entomb(&mut conn, &[&key(gone, Direction::Undo)]).await.expect_err("its day is gone");
    assert!(error.is::<Forgotten>(), "{error:#}");
    // A verb that calls the outside looks before it calls, and may learn of an old call's end long after it.
    assert_eq!(outcome(&mut conn, gone).await, Some(Outcome::defect(Forgotten.to_string())));
    let (late, new) = (key(gone, Direction::Do), key(Uuid::now_v7(), Direction::Do));
    barrier::record(&mut conn, &[(&late, &Outcome::done()), (&new, &Outcome::done())])
        .await
        .expect("nobody waits for it");
    assert_eq!(outcome(&mut conn, new.saga_id).await, Some(Outcome::done()), "new sagas go on");
    assert_eq!(outcome(&mut conn, Uuid::now_v7()).await, None);
    drop(conn);
    database.verify_and_drop(&[]).await;
}

/// Rows that came before their day's table lie elsewhere, and go with their time all the same.
#[tokio::test]
async fn a_row_without_a_table_for_its_day_goes_too() {
    let (database, mut conn) = open().await;
    let (old, limit) = (id_of_days_ago(&mut conn, 200).await, id_of_days_ago(&mut conn, 90).await);
    for saga in [old, OF_NO_DAY] {
        record(&mut conn, saga).await.expect("decides");
    }
    follow(&database.db, &Shutdown::default(), stream::iter([note(limit)])).await;
    let left: Vec<Uuid> = sqlx::query_scalar("select saga_id from barrier").fetch_all(&mut *conn).await.expect("reads");
    assert_eq!(left, [OF_NO_DAY]);
    drop(conn);
    database.verify_and_drop(&[]).await;
}

#[tokio::test]
async fn a_note_that_reaches_into_the_last_day_forgets_nothing() {
    let (database, mut conn) = open().await;
    let before = days(&mut conn).await;
    let refused = drop_days(&database.db, Uuid::now_v7()).await.expect_err("too young");
    assert!(refused.to_string().contains("of the last day are kept"), "{refused}");
    assert_eq!(days(&mut conn).await, before);
    drop(conn);
    database.verify_and_drop(&[]).await;
}

#[tokio::test]
async fn replicas_that_drop_at_once_drop_each_day_once_and_a_long_reader_keeps_only_us_waiting() {
    let (database, mut conn) = open().await;
    let (db, limit) = (&database.db, id_of_days_ago(&mut conn, 90).await);
    let before = days(&mut conn).await;
    let mut reader = db.begin().await.expect("begins");
    sqlx::query("select count(*) from barrier").execute(&mut *reader).await.expect("reads");
    let begun = Instant::now();
    let refused = drop_days(db, limit).await.expect_err("the reader is there");
    assert!(refused.to_string().contains("lock timeout"), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(reader);

    let (one, other) = tokio::join!(drop_days(db, limit), drop_days(db, limit));
    let (one, other) = (one.expect("drops"), other.expect("drops"));
    assert!(one.iter().all(|day| !other.contains(day)), "{one:?} {other:?}");
    assert_eq!(days(&mut conn).await, before - i64::try_from(one.len() + other.len()).expect("few"));
    drop(conn);
    database.verify_and_drop(&[]).await;
}
