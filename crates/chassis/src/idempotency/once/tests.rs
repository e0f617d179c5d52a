//! Against a real PostgreSQL: the promises of one key, one answer.

use http::StatusCode;
use makegood_contracts::account::Account;
use uuid::Uuid;

use super::*;
use crate::test_database::TestDatabase;

fn key(name: &str, fingerprint: &str) -> Claim {
    let account = Account { id: Uuid::from_u128(1), livemode: false };
    Claim { account, key_hash: name.as_bytes().to_vec(), fingerprint: fingerprint.as_bytes().to_vec() }
}

async fn test_with_effects() -> TestDatabase {
    let test = TestDatabase::create().await;
    let mut owner = test.owner().await;
    sqlx::query("create table effect (n bigint generated always as identity)")
        .execute(&mut owner)
        .await
        .expect("created");
    test
}

async fn effects(test: &TestDatabase) -> i64 {
    sqlx::query_scalar("select count(*) from effect").fetch_one(&test.db).await.expect("counted")
}

/// An effect that can be counted, and an answer that differs each time it runs.
fn take_effect(status: u16) -> impl for<'c> FnOnce(&'c mut PgConnection) -> Effect<'c> + Send + 'static {
    move |tx| {
        Box::pin(async move {
            sqlx::query("insert into effect default values").execute(tx).await?;
            let body = format!(r#"{{"id":"{}"}}"#, Uuid::now_v7());
            Ok(Answer { status, body, location: Some("/v1/effects/1".to_owned()) })
        })
    }
}

/// Status, body and whether it was replayed.
async fn told(result: Result<Response, Problem>) -> (u16, String, bool) {
    let response = result.unwrap_or_else(axum::response::IntoResponse::into_response);
    let replayed = response.headers().contains_key("idempotency-replayed");
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 65536).await.expect("a small body");
    (status, String::from_utf8_lossy(&bytes).into_owned(), replayed)
}

#[tokio::test]
async fn a_thousand_equal_requests_take_effect_once_and_get_one_answer() {
    let test = test_with_effects().await;
    let requests =
        (0..1000).map(|_| async { told(once(&test.db, Some(&key("k", "f")), take_effect(201)).await).await });
    let answers = futures::future::join_all(requests).await;
    assert_eq!(effects(&test).await, 1);
    assert!(answers.iter().all(|(status, body, _)| *status == 201 && *body == answers[0].1));
    assert_eq!(answers.iter().filter(|(_, _, replayed)| !replayed).count(), 1);
    test.remove().await;
}

#[tokio::test]
async fn equal_requests_in_several_processes_wait_for_the_first_ones_transaction() {
    let test = test_with_effects().await;
    let claim_of_all = key("k", "f");
    // Another process knows nothing of this one's queue: it meets the claim on the index only.
    let mut elsewhere = test.db.begin().await.expect("begins");
    assert_eq!(claim(&mut elsewhere, &[(&claim_of_all, None)]).await.expect("claims"), [Claimed::New]);
    let here = once(&test.db, Some(&claim_of_all), take_effect(201));
    let there = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let answer = Answer { status: 201, body: r#"{"from":"elsewhere"}"#.to_owned(), location: None };
        store(&mut elsewhere, &[(&claim_of_all, &answer)]).await.expect("stores");
        elsewhere.commit().await.expect("commits");
    };
    let (here, ()) = futures::future::join(here, there).await;
    assert_eq!(told(here).await, (201, r#"{"from":"elsewhere"}"#.to_owned(), true));
    assert_eq!(effects(&test).await, 0);
    test.remove().await;
}

#[tokio::test]
async fn a_key_with_another_request_is_refused_and_another_accounts_key_is_another_key() {
    let test = test_with_effects().await;
    assert_eq!(told(once(&test.db, Some(&key("k", "f")), take_effect(201)).await).await.0, 201);
    let (status, body, _) = told(once(&test.db, Some(&key("k", "g")), take_effect(201)).await).await;
    assert!(status == 422 && body.contains("idempotency-key-reused"), "{body}");
    let live = Claim { account: Account { id: Uuid::from_u128(1), livemode: true }, ..key("k", "g") };
    assert_eq!(told(once(&test.db, Some(&live), take_effect(201)).await).await.0, 201);
    assert_eq!(effects(&test).await, 2);
    test.remove().await;
}

#[tokio::test]
async fn a_failure_frees_the_key_and_a_refusal_is_kept() {
    let test = test_with_effects().await;
    let key = key("k", "f");
    let failing = once(&test.db, Some(&key), |tx| {
        Box::pin(async move {
            take_effect(201)(tx).await?;
            Err(Problem::invalid("/email", "is no address"))
        })
    });
    assert_eq!(told(failing.await).await.0, 422);
    let panicking = once(&test.db, Some(&key), |_| Box::pin(async { panic!("a defect") }));
    assert_eq!(told(panicking.await).await.0, 500);
    assert_eq!(told(once(&test.db, Some(&key), take_effect(503)).await).await.0, 503);
    assert_eq!(effects(&test).await, 0);

    let first = told(once(&test.db, Some(&key), take_effect(409)).await).await;
    let second = told(once(&test.db, Some(&key), take_effect(201)).await).await;
    assert_eq!((first.0, first.2, second.0, second.2), (409, false, 409, true));
    assert_eq!(first.1, second.1);
    test.remove().await;
}

#[tokio::test]
async fn a_key_lives_for_24_hours_across_midnight() {
    let test = test_with_effects().await;
    let age = async |hours: i32| {
        sqlx::query("update idempotency_key set day = (now() at time zone 'UTC')::date - 1, created_at = now() - make_interval(hours => $1)")
            .bind(hours)
            .execute(&test.db)
            .await
            .expect("aged");
    };
    told(once(&test.db, Some(&key("k", "f")), take_effect(201)).await).await;
    age(23).await;
    assert!(told(once(&test.db, Some(&key("k", "f")), take_effect(201)).await).await.2);
    age(25).await;
    assert!(!told(once(&test.db, Some(&key("k", "f")), take_effect(201)).await).await.2);
    assert_eq!(effects(&test).await, 2);
    test.remove().await;
}

#[tokio::test]
async fn a_deferred_key_is_in_use_until_its_answer_is_stored_and_the_first_answer_stands() {
    let test = test_with_effects().await;
    let (one, other, resource) = (key("one", "f"), key("other", "f"), Uuid::from_u128(5));
    let mut tx = test.db.begin().await.expect("begins");
    assert_eq!(claim(&mut tx, &[(&one, None), (&other, None)]).await.expect("claims"), [Claimed::New, Claimed::New]);
    super::super::defer(&mut tx, &[(&one, resource), (&other, resource)]).await.expect("defers");
    tx.commit().await.expect("commits");

    let response = once(&test.db, Some(&one), take_effect(201)).await.expect_err("is in use");
    assert_eq!((response.status, response.kind), (StatusCode::CONFLICT, "idempotency-key-in-use"));

    let mut connection = test.db.acquire().await.expect("acquires");
    for body in ["first", "second"] {
        let answer = Answer { status: 200, body: body.to_owned(), location: None };
        store(&mut connection, &[(&one, &answer)]).await.expect("stores");
    }
    drop(connection);
    assert_eq!(told(once(&test.db, Some(&one), take_effect(201)).await).await, (200, "first".to_owned(), true));
    test.remove().await;
}
