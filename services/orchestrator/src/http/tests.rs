//! The admin address on a real database: what an operator of one shop sees of another's.

mod start_saga;

use axum::http::{Method, StatusCode};
use makegood_contracts::id::SagaId;
use makegood_messaging::bus::Bus;
use makegood_testing::{SHOP, ShopApi, TestDatabase, nats_url};
use serde_json::{Value, json};
use sha2::Digest as _;
use sqlx::PgPool;
use uuid::Uuid;

use super::router;
use crate::{MIGRATOR, invariants::INVARIANTS};

/// The smallest definition there is.
const TRIP: &str =
    "saga: trip\nversion: 1\nsteps:\n  - step: book_flight\n    command: flights.book_flight\n    input: {}\n";

/// A saga that has ended, with this input.
async fn ended(db: &PgPool, input: Value) -> String {
    let id = Uuid::now_v7();
    sqlx::query(
        r"with begun as (insert into saga_log (saga_id, revision, event) values ($1, 1, '{}'))
          insert into saga (id, definition, version, reference, customer, state, revision, progress, input, finished_at)
          select $1, name, version, $2, 'ann@example.com', 'completed', 1, '{}', $3, now() from definition limit 1",
    )
    .bind(id)
    .bind(id.to_string())
    .bind(sqlx::types::Json(input))
    .execute(db)
    .await
    .expect("writes a saga");
    SagaId::from_uuid(id).to_string()
}

async fn open_shop(db: &PgPool) -> ShopApi {
    sqlx::query("insert into definition (name, version, yaml, sha256) values ('trip', 1, $1, $2)")
        .bind(TRIP)
        .bind(sha2::Sha256::digest(TRIP).to_vec())
        .execute(db)
        .await
        .expect("writes a definition");
    let bus = Bus::connect(&nats_url(), "orchestrator-test").await.expect("connects");
    ShopApi::open(db, |context| router(context, bus)).await
}

#[tokio::test]
async fn an_operator_sees_and_moves_the_sagas_of_the_own_shop_only() {
    let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
    let shop = open_shop(&database.db).await;
    let own = ended(&database.db, json!({"account_id": SHOP.id, "livemode": SHOP.livemode})).await;
    let of_nobody = ended(&database.db, json!({})).await;
    let others = [
        ended(&database.db, json!({"account_id": Uuid::now_v7(), "livemode": SHOP.livemode})).await,
        ended(&database.db, json!({"account_id": SHOP.id, "livemode": !SHOP.livemode})).await,
    ];
    let (status, _, page) = shop.send(&shop.admin, (Method::GET, "/v1/admin/sagas"), &[], Value::Null).await;
    let listed: Vec<_> = page["data"].as_array().expect("a page").iter().map(|saga| saga["id"].clone()).collect();
    assert_eq!((status, listed), (StatusCode::OK, vec![json!(of_nobody), json!(own)]));
    for id in others {
        let path = format!("/v1/admin/sagas/{id}");
        assert_eq!(shop.send(&shop.admin, (Method::GET, &path), &[], Value::Null).await.0, StatusCode::NOT_FOUND);
        for (action, body) in [
            ("retry", json!({"reason": "x"})),
            ("compensate", json!({"reason": "x"})),
            ("resolve", json!({"reason": "x", "step": "s"})),
        ] {
            let path = format!("{path}/{action}");
            assert_eq!(shop.send(&shop.admin, (Method::POST, &path), &[], body).await.0, StatusCode::NOT_FOUND);
        }
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn an_age_that_no_saga_can_have_is_refused() {
    let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
    let shop = open_shop(&database.db).await;
    for (age, status) in
        [("0", 200), ("3155760000", 200), ("3155760001", 400), ("-1", 400), (&i64::MAX.to_string(), 400)]
    {
        let path = format!("/v1/admin/sagas?min_age_seconds={age}");
        let answered = shop.send(&shop.admin, (Method::GET, &path), &[], Value::Null).await;
        assert_eq!(answered.0.as_u16(), status, "{age}: {}", answered.2);
    }
    database.verify_and_drop(INVARIANTS).await;
}
