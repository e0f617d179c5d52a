//! The sandbox over HTTP, on a real PostgreSQL.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Bytes, extract::State, routing::post};
use http::{HeaderMap, StatusCode};
use makegood_chassis::{
    auth::ApiKeys, callback_signature::CallbackKey, clock::DbClock, http::HttpContext, secret::Secret,
    shutdown::Shutdown,
};
use makegood_testing::TestDatabase;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::{net::TcpListener, sync::Mutex};
use uuid::Uuid;

use crate::{Config, MIGRATOR};

const KEY: &str = "sk_provider_test";

/// A sandbox that is served, and its sending side.
struct World {
    url: String,
    http: reqwest::Client,
    secret: Secret,
    shutdown: Shutdown,
    database: TestDatabase,
}

impl World {
    async fn new() -> Self {
        let database = TestDatabase::create("sandbox", &MIGRATOR).await;
        let db = database.db.clone();
        let secret = Secret::new("a secret that only these tests know of").expect("long enough");
        let shutdown = Shutdown::default();
        let keys =
            ApiKeys::load(std::env::temp_dir().join("makegood-sandbox-no-such-file.json"), &secret).expect("no file");
        let clock = DbClock::measure(&db).await.expect("measures");
        let config = Config {
            sandbox_provider_key: Some(KEY.parse().expect("a key")),
            sandbox_provider_callback_url: "http://127.0.0.1:9/nobody".to_owned(),
            sandbox_public_url: None,
            sandbox_ship_after: Duration::ZERO,
        };
        let context = HttpContext {
            db: db.clone(),
            clock: clock.clone(),
            keys,
            secret: secret.clone(),
            shutdown: shutdown.clone(),
        };
        let url = serve(crate::router(context, config.clone())).await;
        let sending = (db.clone(), shutdown.clone(), secret.clone());
        tokio::spawn(async move { crate::send_callbacks(sending.0, clock, sending.1, &sending.2, config).await });
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { url, http, secret, shutdown, database }
    }

    async fn post(&self, path: &str, operation_id: Uuid, body: &Value) -> (u16, Value) {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(KEY)
            .header("idempotency-key", operation_id.to_string());
        let response = request.json(body).send().await.expect("answers");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    async fn end(self) {
        self.shutdown.begin();
        self.database.verify_and_drop(crate::invariants()).await;
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn an_operation_is_taken_once_by_its_id_for_ever() {
    let world = World::new().await;
    let (id, merchant) = (Uuid::now_v7(), Uuid::now_v7());
    let body =
        json!({ "merchant": merchant, "amount_minor": 500, "currency": "GBP", "payment_method": "pm_card_visa" });
    let path = "/provider/v1/authorizations";
    let answers = futures::future::join_all((0..20).map(|_| world.post(path, id, &body))).await;
    assert!(
        answers.iter().all(|answer| answer == &answers[0] && answer.0 == 200 && answer.1["status"] == "succeeded"),
        "{answers:?}"
    );
    let charges: i64 =
        sqlx::query_scalar("select count(*) from charge").fetch_one(&world.database.db).await.expect("counts");
    assert_eq!(charges, 1);

    let other =
        json!({ "merchant": merchant, "amount_minor": 501, "currency": "GBP", "payment_method": "pm_card_visa" });
    assert_eq!(world.post(path, id, &other).await.0, 409);
    for (field, bad) in [
        ("amount_minor", json!(0)),
        ("currency", json!("XXX")),
        ("payment_method", json!("a\u{0}b")),
        ("reference", json!("")),
        ("cvc", json!(1)),
    ] {
        let mut body = body.clone();
        body[field] = bad;
        assert_eq!(world.post(path, Uuid::now_v7(), &body).await.0, 422, "{field}");
    }
    let get = async |id: Uuid, key: &str| {
        world
            .http
            .get(format!("{}/provider/v1/operations/{id}", world.url))
            .bearer_auth(key)
            .send()
            .await
            .expect("answers")
    };
    assert_eq!(get(id, "sk_wrong").await.status(), 401);
    let unseen = get(Uuid::now_v7(), KEY).await;
    assert_eq!(unseen.status(), 404);
    let problem: Value = unseen.json().await.expect("JSON");
    assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with("/operation-unknown")));
    world.end().await;
}

#[derive(Default)]
struct Received {
    refused: usize,
    bodies: Vec<(String, Bytes)>,
}

/// Refuses the first callback, takes all others.
async fn receive(State(received): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let mut received = received.lock().await;
    if received.refused == 0 {
        received.refused += 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let signature = headers["carrier-signature"].to_str().expect("text").to_owned();
    received.bodies.push((signature, body));
    StatusCode::NO_CONTENT
}

#[tokio::test]
async fn a_parcel_ships_once_and_is_told_until_somebody_listens() {
    let world = World::new().await;
    let received = Arc::new(Mutex::new(Received::default()));
    let callback_url = format!(
        "{}/callbacks",
        serve(Router::new().route("/callbacks", post(receive)).with_state(Arc::clone(&received))).await
    );
    let announce = async || {
        let body = json!({ "shipments": [{ "shipment_id": "s-1", "shipping_method": "standard", "callback_url": callback_url }] });
        world
            .http
            .post(format!("{}/carrier/v1/shipments", world.url))
            .json(&body)
            .send()
            .await
            .expect("answers")
            .status()
    };
    let told = async |times: usize| {
        let wait = async {
            while received.lock().await.bodies.len() < times {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), wait).await.expect("it is told");
    };
    assert_eq!(announce().await, 200);
    told(1).await;
    assert_eq!(announce().await, 200);
    told(2).await;

    let received = received.lock().await;
    let event = |n: usize| serde_json::from_slice::<Value>(&received.bodies[n].1).expect("JSON")["events"][0].clone();
    assert_eq!(event(0), event(1), "the same event");
    assert_eq!((&event(0)["shipment_id"], &event(0)["status"]), (&json!("s-1"), &json!("shipped")));
    let (signature, body) = &received.bodies[0];
    let signed_at = signature.split(&['=', ','][..]).nth(1).and_then(|t| t.parse().ok()).expect("a time");
    let signed_at = OffsetDateTime::from_unix_timestamp(signed_at).expect("a time");
    assert_eq!(signature, &CallbackKey::shared_with("carrier", &world.secret).sign(body, signed_at));
    world.end().await;
}
