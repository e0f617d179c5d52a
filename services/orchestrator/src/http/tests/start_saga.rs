//! Starting sagas over HTTP: once for each id, with one content.

use axum::http::{Method, StatusCode};
use makegood_contracts::id::SagaId;
use makegood_messaging::bus::Bus;
use makegood_testing::{SHOP, ShopApi, TestDatabase, nats_url};
use serde_json::{Value, json};
use sha2::Digest as _;
use uuid::Uuid;

use crate::{Config, MIGRATOR, http::router, invariants::INVARIANTS};

const TRIP: &str = "saga: trip\nversion: 1\nsteps:\n  - step: book_flight\n    command: flights.book_flight\n";

async fn release(database: &TestDatabase, name: &str, yaml: &str) {
    sqlx::query("insert into definition (name, version, yaml, sha256) values ($1, 1, $2, $3)")
        .bind(name)
        .bind(yaml)
        .bind(sha2::Sha256::digest(yaml).to_vec())
        .execute(&database.db)
        .await
        .expect("writes a definition");
}

/// The routes over a database that knows one definition.
async fn open_shop(database: &TestDatabase) -> ShopApi {
    release(database, "trip", TRIP).await;
    let bus = Bus::connect(&nats_url(), "orchestrator-test").await.expect("connects");
    ShopApi::open(&database.db, |context| router(context, bus, &Config::default())).await
}

#[tokio::test]
async fn a_saga_is_started_once_for_each_id_and_with_one_content() {
    let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
    let shop = open_shop(&database).await;
    let start = async |key: &str, headers: &[(&str, &str)], body: Value| {
        let (status, headers, told) = shop.send(key, (Method::POST, "/v1/admin/sagas"), headers, body).await;
        (status.as_u16(), headers, told)
    };
    let id = SagaId::from_uuid(Uuid::now_v7()).to_string();
    let trip = json!({
        "id": id, "definition": "trip", "reference": "ann-2026", "input": {"to": "Oslo"}, "reason": "ann has waited for long",
    });

    let (status, headers, begun) = start(&shop.admin, &[], trip.clone()).await;
    assert_eq!((status, &begun["version"], &begun["step"]), (201, &json!(1), &json!("book_flight")), "{begun}");
    assert_eq!(headers["location"], format!("/v1/admin/sagas/{id}"));
    assert_eq!(start(&shop.admin, &[], trip.clone()).await.2, begun);
    assert_eq!(start(&shop.admin, &[], trip.clone()).await.0, 200);
    let audited: Vec<(String, String, String)> =
        sqlx::query_as("select actor, action, reason from audit").fetch_all(&database.db).await.expect("reads");
    assert_eq!(audited.len(), 1, "{audited:?}");
    assert_eq!((&*audited[0].1, &*audited[0].2), ("start", "ann has waited for long"));
    assert!(!audited[0].0.is_empty(), "somebody did it");
    for (field, other) in
        [("input", json!({"to": "Rome"})), ("reference", json!("bob-2026")), ("customer", json!("ann@example.com"))]
    {
        let mut different = trip.clone();
        different[field] = other;
        let (status, _, told) = start(&shop.admin, &[], different).await;
        assert_eq!((status, &told["type"]), (409, &json!("https://makegood.dev/problems/saga-exists")), "{field}");
    }
    let input: sqlx::types::Json<Value> =
        sqlx::query_scalar("select input from saga").fetch_one(&database.db).await.expect("one saga");
    assert_eq!(input.0, json!({"to": "Oslo", "account_id": SHOP.id, "livemode": SHOP.livemode}));

    // Without an id of the caller's, the key says which start it is.
    let nameless = json!({"definition": "trip", "reference": "cleo-2026"});
    assert_eq!(start(&shop.admin, &[], nameless.clone()).await.0, 400);
    let first = start(&shop.admin, &[("Idempotency-Key", "k")], nameless.clone()).await;
    let again = start(&shop.admin, &[("Idempotency-Key", "k")], nameless).await;
    assert_eq!((first.0, &first.2), (201, &again.2));
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_saga_whose_first_step_cannot_begin_is_parked_as_it_starts() {
    let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
    let shop = open_shop(&database).await;
    let wait = "saga: wait\nversion: 1\nsteps:\n  - { step: go, await: go, deadline: $.input.until, on_deadline: compensate }\n";
    release(&database, "wait", wait).await;
    for (definition, input, why) in
        [("wait", json!({}), "finds no RFC 3339 time"), ("wait", json!({"until": "soon"}), "finds no RFC 3339 time")]
    {
        let id = SagaId::from_uuid(Uuid::now_v7()).to_string();
        let body = json!({"id": id, "definition": definition, "reference": "r", "input": input});
        let (status, _, told) = shop.send(&shop.admin, (Method::POST, "/v1/admin/sagas"), &[], body).await;
        assert_eq!((status, &told["state"]), (StatusCode::CREATED, &json!("parked")), "{told}");
        let path = format!("/v1/admin/sagas/{id}");
        let (_, _, saga) = shop.send(&shop.admin, (Method::GET, path.as_str()), &[], Value::Null).await;
        assert!(saga["reason"]["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{saga}");
    }
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn a_start_that_makes_no_sense_is_refused_with_the_place() {
    let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
    let shop = open_shop(&database).await;
    for (field, value, status, pointer) in [
        ("id", json!("chk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f"), 422, json!("/id")),
        ("definition", json!("cruise"), 422, json!("/definition")),
        ("definition", json!("checkout"), 422, json!("/definition")),
        ("reference", json!(""), 422, json!("/reference")),
        ("customer", json!("a\u{1}"), 422, json!("/customer")),
        ("input", json!({"note": "x".repeat(300_000)}), 422, json!("/input")),
        ("input", json!({"account_id": Uuid::now_v7()}), 422, json!("/input/account_id")),
        ("input", json!({"livemode": !SHOP.livemode}), 422, json!("/input/livemode")),
    ] {
        let mut body = json!({"id": SagaId::from_uuid(Uuid::now_v7()), "definition": "trip", "reference": "r"});
        body[field] = value;
        let (told, _, problem) = shop.send(&shop.admin, (Method::POST, "/v1/admin/sagas"), &[], body.clone()).await;
        assert_eq!((told.as_u16(), &problem["pointer"]), (status, &pointer), "{body}: {problem}");
    }
    let body = json!({"id": SagaId::from_uuid(Uuid::now_v7()), "definition": "trip", "reference": "r"});
    let (status, ..) = shop.send(&shop.server, (Method::POST, "/v1/admin/sagas"), &[], body).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a shop's server starts no saga of its own making");
    database.verify_and_drop(INVARIANTS).await;
}
