//! The hand-over against a carrier on a real socket.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse as _, Response},
    routing::post,
};
use makegood_testing::{SHOP, TestDatabase};
use serde_json::Value;

use super::*;
use crate::{
    MIGRATOR,
    commands::tests::{create, release},
    http::shipment_view::{self, Which},
    invariants::INVARIANTS,
    untaken,
};

/// A success, and a web page with it.
const FROM_SOMETHING_IN_BETWEEN: StatusCode = StatusCode::NON_AUTHORITATIVE_INFORMATION;

/// The answer to a batch of so many shipments.
type AnswerTo = fn(usize) -> StatusCode;

/// What the carrier was sent, call by call, and how it answers a batch.
#[derive(Clone)]
struct TestCarrier {
    calls: Arc<Mutex<Vec<Vec<String>>>>,
    answer: Arc<Mutex<AnswerTo>>,
}

impl TestCarrier {
    async fn start() -> (Self, Carrier) {
        let test_carrier = Self { calls: Arc::default(), answer: Arc::new(Mutex::new(|_| StatusCode::OK)) };
        let router = Router::new().route("/carrier/v1/shipments", post(Self::receive)).with_state(test_carrier.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let carrier_url = format!("http://{}/", listener.local_addr().expect("has an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = Config {
            carrier_url: Some(carrier_url),
            carrier_callback_url: Some("http://shop/v1/carrier/callbacks".to_owned()),
            handover_delay_seconds: 0,
        };
        let carrier = Carrier::from_config(&config).expect("configured").expect("there is one");
        (test_carrier, carrier)
    }

    async fn receive(State(carrier): State<Self>, Json(offer): Json<Value>) -> Response {
        let shipments = offer["shipments"].as_array().expect("shipments").clone();
        for shipment in &shipments {
            assert_eq!(shipment["callback_url"], "http://shop/v1/carrier/callbacks");
            assert_eq!(shipment["shipping_method"], "standard");
        }
        let ids: Vec<String> =
            shipments.iter().map(|shipment| shipment["shipment_id"].as_str().expect("an id").to_owned()).collect();
        let status = (carrier.answer.lock().expect("not poisoned"))(ids.len());
        carrier.calls.lock().expect("not poisoned").push(ids);
        if status == FROM_SOMETHING_IN_BETWEEN {
            return (status, Html("<h1>Back soon</h1>")).into_response();
        }
        (status, "no such\tmethod").into_response()
    }

    fn answers(&self, answer: AnswerTo) {
        *self.answer.lock().expect("not poisoned") = answer;
    }

    fn call_sizes(&self) -> Vec<usize> {
        self.calls.lock().expect("not poisoned").drain(..).map(|ids| ids.len()).collect()
    }
}

async fn handed_over(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from shipment where handed_over_at is not null")
        .fetch_one(pool)
        .await
        .expect("counts")
}

/// How many the carrier may have, so that they cannot be cancelled.
async fn offered(pool: &PgPool) -> i64 {
    sqlx::query_scalar("select count(*) from shipment where offered_at is not null")
        .fetch_one(pool)
        .await
        .expect("counts")
}

/// Why the carrier will not have shipments, each reason once.
async fn refusals(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("select distinct carrier_refusal from shipment where carrier_refusal is not null")
        .fetch_all(pool)
        .await
        .expect("lists")
}

async fn pass_time(pool: &PgPool, interval: &str) {
    sqlx::query("update shipment set handover_due_at = handover_due_at - $1::text::interval")
        .bind(interval)
        .execute(pool)
        .await
        .expect("time passes");
}

/// A round of either queue, and how many both claimed.
async fn hand_over_all(pool: &PgPool, carrier: &Carrier) -> anyhow::Result<usize> {
    let new = hand_over_due(pool, carrier, Queue::New).await?;
    Ok(new + hand_over_due(pool, carrier, Queue::Again).await?)
}

#[tokio::test]
async fn a_released_shipment_is_offered_until_accepted_and_again_after_silence() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let (test_carrier, carrier) = TestCarrier::start().await;
    let saga = Uuid::now_v7();
    create(pool, saga).await;
    assert_eq!(hand_over_all(pool, &carrier).await.expect("nothing to do"), 0, "a planned shipment does not leave");

    release(pool, &[saga]).await;
    test_carrier.answers(|_| StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("the carrier is down"), 2);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("put off"), 0);
    assert_eq!(offered(pool).await, 2, "it may have come: nobody knows");
    assert_eq!(untaken::count(pool).await.expect("counts"), (0, 0), "it may be back in a minute");
    sqlx::query("update shipment set offered_at = offered_at - interval '16 min'")
        .execute(pool)
        .await
        .expect("time passes");
    assert_eq!(untaken::count(pool).await.expect("counts"), (0, 2));

    test_carrier.answers(|_| FROM_SOMETHING_IN_BETWEEN);
    pass_time(pool, "10 min").await;
    assert_eq!(hand_over_all(pool, &carrier).await.expect("a page is no answer"), 2);
    assert_eq!(handed_over(pool).await, 0, "nobody has taken them");

    test_carrier.answers(|_| StatusCode::OK);
    pass_time(pool, "10 min").await;
    assert_eq!(hand_over_all(pool, &carrier).await.expect("accepted"), 2);
    assert_eq!(handed_over(pool).await, 2);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("nothing to do"), 0);

    pass_time(pool, "10 min").await;
    assert_eq!(hand_over_all(pool, &carrier).await.expect("asked again"), 2);
    assert_eq!(test_carrier.call_sizes(), [2, 1, 1, 2, 1, 1, 2, 2]);
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn one_shipment_that_the_carrier_refuses_does_not_hold_up_the_others() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let (test_carrier, carrier) = TestCarrier::start().await;
    let saga = Uuid::now_v7();
    create(pool, saga).await;
    release(pool, &[saga]).await;
    test_carrier.answers(|batch| if batch > 1 { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK });
    assert_eq!(hand_over_all(pool, &carrier).await.expect("one by one"), 2);
    assert_eq!(handed_over(pool).await, 2);

    pass_time(pool, "10 min").await;
    test_carrier.answers(|_| StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("put off"), 2);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("put off"), 0);
    assert_eq!(test_carrier.call_sizes(), [2, 1, 1, 2, 1, 1]);
    assert!(refusals(pool).await.is_empty(), "it took them before, so it has them");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn what_was_refused_before_is_offered_apart_from_what_is_new() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let (test_carrier, carrier) = TestCarrier::start().await;
    let [refused, new] = std::array::from_fn(|_| Uuid::now_v7());
    create(pool, refused).await;
    release(pool, &[refused]).await;
    test_carrier.answers(|_| StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("refused"), 2);

    pass_time(pool, "10 min").await;
    create(pool, new).await;
    release(pool, &[new]).await;
    assert_eq!(claim_due(pool, Queue::New).await.expect("claims").len(), 2, "the new ones alone");
    let again = claim_due(pool, Queue::Again).await.expect("claims");
    assert!(again.len() == 2 && again.iter().all(|claim| claim.is_first_offer), "the carrier has nothing of these");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn what_the_carrier_never_took_can_still_be_cancelled() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let (test_carrier, carrier) = TestCarrier::start().await;
    let saga = Uuid::now_v7();
    create(pool, saga).await;
    release(pool, &[saga]).await;
    test_carrier.answers(|_| StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("refused"), 2);
    assert_eq!(offered(pool).await, 0, "refused the first time, so the carrier has nothing");
    assert_eq!(refusals(pool).await, ["422 Unprocessable Entity: no suchmethod"]);
    assert_eq!(untaken::count(pool).await.expect("counts"), (2, 0));

    pass_time(pool, "10 min").await;
    test_carrier.answers(|_| StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("not answered"), 2);
    assert_eq!(untaken::count(pool).await.expect("counts"), (2, 0), "an outage makes no refusal undone");
    pass_time(pool, "10 min").await;
    test_carrier.answers(|_| StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("refused"), 2);
    assert_eq!(offered(pool).await, 2, "what was not answered before may be there whatever it says now");

    pass_time(pool, "10 min").await;
    test_carrier.answers(|_| StatusCode::OK);
    assert_eq!(hand_over_all(pool, &carrier).await.expect("accepted"), 2);
    assert_eq!(untaken::count(pool).await.expect("counts"), (0, 0), "what it took is refused no more");
    database.verify_and_drop(INVARIANTS).await;
}

/// What is counted for the alert is what the lists show.
#[tokio::test]
async fn whoever_is_called_for_an_untaken_parcel_finds_it() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let (refused, unanswered) = (Uuid::now_v7(), Uuid::now_v7());
    let listed = async || {
        let mut orders = Vec::new();
        for which in [Which::Refused, Which::Unanswered] {
            let found = shipment_view::find(pool, SHOP, which).await.expect("finds");
            orders.push(found.len());
        }
        (orders[0], orders[1])
    };
    for saga in [refused, unanswered] {
        create(pool, saga).await;
    }
    release(pool, &[refused]).await;
    for claim in claim_due(pool, Queue::New).await.expect("claims") {
        put_off(pool, &claim, Some("no such method"), claim.is_first_offer).await.expect("writes");
    }
    release(pool, &[unanswered]).await;
    assert_eq!(claim_due(pool, Queue::New).await.expect("claims").len(), 2);
    assert_eq!(listed().await, (2, 0), "the carrier has a quarter of an hour");
    sqlx::query("update shipment set offered_at = offered_at - interval '16 minutes'")
        .execute(pool)
        .await
        .expect("waits");
    assert_eq!((listed().await, untaken::count(pool).await.expect("counts")), ((2, 2), (2, 2)));
    database.verify_and_drop(INVARIANTS).await;
}

/// Another process may be offering it, and the carrier be taking it, at this moment.
#[tokio::test]
async fn a_refusal_that_comes_after_the_lease_says_nothing_of_what_another_process_offers() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let saga = Uuid::now_v7();
    create(pool, saga).await;
    release(pool, &[saga]).await;
    let slow = claim_due(pool, Queue::New).await.expect("claims");
    pass_time(pool, "61 s").await;
    let quick = claim_due(pool, Queue::Again).await.expect("claims");
    assert_eq!((slow.len(), quick.len()), (2, 2));
    put_off(pool, &slow[0], Some("no"), slow[0].is_first_offer).await.expect("writes");
    assert_eq!((offered(pool).await, refusals(pool).await.len()), (2, 0), "the other one's offer stands");
    put_off(pool, &quick[0], Some("no"), quick[0].is_first_offer).await.expect("writes");
    assert_eq!((offered(pool).await, refusals(pool).await.len()), (2, 1), "it was not the first to offer it");
    database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test]
async fn one_shipment_that_breaks_the_carrier_does_not_hold_up_the_others() {
    let database = TestDatabase::create("fulfillment", &MIGRATOR).await;
    let pool = &database.db;
    let (test_carrier, carrier) = TestCarrier::start().await;
    let sagas: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(4).collect();
    for saga in &sagas {
        create(pool, *saga).await;
    }
    release(pool, &sagas).await;
    test_carrier.answers(|batch| if batch > 1 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK });
    assert_eq!(hand_over_all(pool, &carrier).await.expect("one by one"), 8);
    assert_eq!(handed_over(pool).await, 8);

    pass_time(pool, "10 min").await;
    test_carrier.answers(|_| StatusCode::INTERNAL_SERVER_ERROR);
    hand_over_all(pool, &carrier).await.expect_err("the carrier is down for all of them");
    assert_eq!(test_carrier.call_sizes(), [8, 1, 1, 1, 1, 1, 1, 1, 1, 8, 1, 1, 1], "an outage is not asked 200 times");
    database.verify_and_drop(INVARIANTS).await;
}
