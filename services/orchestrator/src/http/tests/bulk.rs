//! Operations on many sagas: counted, worked at their rate, stopped, taken up again, and never done twice.

use std::collections::HashSet;

use axum::http::StatusCode;
use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::event::Event;
use makegood_testing::SHOP;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Shop, path};
use crate::{bulk_operation_work::work_batch, definitions::DefinitionShelf, driver::Advanced};

/// Scenario 32 of the engine's list.
const MANY: usize = 10_000;

impl Shop {
    async fn parked_many(&mut self, count: usize) -> Vec<Uuid> {
        let ids = self.trips_of(json!({"account_id": SHOP.id, "livemode": SHOP.livemode}), count).await;
        let defect = |id: &Uuid| {
            let outcome = Outcome::defect("no such train");
            (*id, Event::Replied { step: "seat".to_owned(), direction: Direction::Do, attempt: 1, outcome })
        };
        for some in ids.chunks(500) {
            let events: Vec<_> = some.iter().map(defect).collect();
            self.advance.apply(&mut self.cache, &events, &mut Advanced::default()).await.expect("parks");
        }
        ids
    }

    async fn bulk(&self, body: Value) -> (StatusCode, Value) {
        self.post("/v1/admin/sagas:bulk", &[], body).await
    }

    async fn bulk_operation(&self, id: &Value) -> Value {
        let id = id.as_str().expect("an id");
        let (status, body) = self.get(&format!("/v1/admin/bulk_operations/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Works one batch, without waiting for its time. False when no operation runs.
    async fn work_at_once(&self) -> bool {
        sqlx::query("update bulk_operation set next_at = now() where state = 'running'")
            .execute(self.db())
            .await
            .expect("makes it due");
        self.work().await
    }

    async fn work(&self) -> bool {
        let shelf = DefinitionShelf::new(self.db().clone());
        work_batch(self.db(), &shelf, &self.advance.clock).await.expect("works").is_some()
    }
}

fn retry_parked() -> Value {
    json!({"action": "retry", "filter": {"state": "parked", "step": "seat"}, "reason": "the trains run again",
           "rate_per_second": 1000})
}

#[tokio::test]
async fn ten_thousand_parked_sagas_are_counted_retried_at_a_bounded_rate_and_audited_one_by_one() {
    let mut shop = Shop::open().await;
    shop.parked_many(MANY).await;
    shop.waiting().await;
    let mut dry = retry_parked();
    dry["dry_run"] = json!(true);
    assert_eq!(shop.bulk(dry).await, (StatusCode::OK, json!({"matches": MANY})));
    assert_eq!(shop.get("/v1/admin/bulk_operations").await.1["data"], json!([]), "a dry run leaves nothing");

    let (status, started) = shop.bulk(retry_parked()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    assert_eq!(
        (&started["matches"], &started["done"], &started["state"]),
        (&json!(MANY), &json!(0), &json!("running"))
    );
    assert!(shop.work().await);
    let one_batch = shop.bulk_operation(&started["id"]).await["done"].as_i64().expect("a number");
    assert_eq!(one_batch, 200, "a fifth of the rate");
    let pause: f64 = sqlx::query_scalar(
        "select extract(epoch from next_at - (select max(at) from audit))::float8 from bulk_operation",
    )
    .fetch_one(shop.db())
    .await
    .expect("reads");
    assert!((pause - 0.2).abs() < 1e-6, "the next batch is due a fifth of a second after this one: {pause}");
    sqlx::query("update bulk_operation set next_at = now() + interval '1 minute'")
        .execute(shop.db())
        .await
        .expect("waits");
    assert!(!shop.work().await, "the next batch is not due yet");
    // Two replicas work at once; none of them does what the other did.
    while shop.bulk_operation(&started["id"]).await["state"] == "running" {
        tokio::join!(shop.work_at_once(), shop.work_at_once());
    }
    let ended = shop.bulk_operation(&started["id"]).await;
    assert_eq!((&ended["done"], &ended["refused"], &ended["failed"]), (&json!(MANY), &json!(0), &json!(0)));
    let (rows, sagas): (i64, i64) =
        sqlx::query_as("select count(*), count(distinct saga_id) from audit where bulk_operation_id is not null")
            .fetch_one(shop.db())
            .await
            .expect("counts");
    assert_eq!((rows, sagas), (MANY as i64, MANY as i64));
    let (_, page) = shop.get("/v1/admin/sagas?state=parked").await;
    assert_eq!(page["data"], json!([]));
    shop.close().await;
}

#[tokio::test]
async fn a_stopped_operation_leaves_the_rest_as_it_is() {
    let mut shop = Shop::open().await;
    shop.parked_many(30).await;
    let mut asked = retry_parked();
    asked["rate_per_second"] = json!(50);
    let (_, started) = shop.bulk(asked).await;
    assert!(shop.work_at_once().await);
    let stop = format!("/v1/admin/bulk_operations/{}/stop", started["id"].as_str().expect("an id"));
    for _ in 0..2 {
        let (status, stopped) = shop.post(&stop, &[], json!({"reason": "it does not help"})).await;
        assert_eq!((status, &stopped["state"], &stopped["done"]), (StatusCode::OK, &json!("stopped"), &json!(10)));
        assert_eq!(stopped["stop_reason"], "it does not help");
    }
    assert!(!shop.work_at_once().await);
    let (_, page) = shop.get("/v1/admin/sagas?state=parked").await;
    assert_eq!(page["data"].as_array().expect("a page").len(), 20);
    assert_eq!(shop.audit_rows().await, 10);
    shop.close().await;
}

#[tokio::test]
async fn a_batch_that_a_crash_cuts_is_worked_again_and_nothing_twice() {
    let mut shop = Shop::open().await;
    shop.parked_many(30).await;
    let mut asked = retry_parked();
    asked["rate_per_second"] = json!(50);
    let (_, started) = shop.bulk(asked).await;
    // What a crash leaves of a batch is nothing: here the audit, which is written last, cannot be written.
    sqlx::query("alter table audit rename to audit_of_another_name").execute(shop.db()).await.expect("alters");
    sqlx::query("update bulk_operation set next_at = now()").execute(shop.db()).await.expect("makes it due");
    let shelf = DefinitionShelf::new(shop.db().clone());
    assert!(work_batch(shop.db(), &shelf, &shop.advance.clock).await.is_err());
    assert_eq!(shop.bulk_operation(&started["id"]).await["done"], 0);
    sqlx::query("alter table audit_of_another_name rename to audit").execute(shop.db()).await.expect("alters");
    while shop.work_at_once().await {}
    let ended = shop.bulk_operation(&started["id"]).await;
    assert_eq!((&ended["state"], &ended["done"]), (&json!("done"), &json!(30)));
    let sagas: Vec<Uuid> = sqlx::query_scalar("select saga_id from audit").fetch_all(shop.db()).await.expect("reads");
    assert_eq!((sagas.len(), sagas.into_iter().collect::<HashSet<_>>().len()), (30, 30));
    shop.close().await;
}

#[tokio::test]
async fn a_saga_that_was_mended_meanwhile_or_cannot_do_it_is_told_and_left_alone() {
    let mut shop = Shop::open().await;
    let sagas = shop.parked_many(3).await;
    let (_, started) = shop
        .bulk(json!({"action": "resolve", "step": "seat", "output": {"number": 1}, "reason": "booked by phone",
                     "filter": {"state": "parked"}}))
        .await;
    assert_eq!(started["operation"], json!({"action": "resolve", "step": "seat", "output": {"number": 1}}));
    shop.operate(sagas[1], "compensate", json!({})).await;
    while shop.work_at_once().await {}
    let ended = shop.bulk_operation(&started["id"]).await;
    assert_eq!((&ended["done"], &ended["refused"]), (&json!(2), &json!(1)));
    assert_eq!(ended["not_done"].as_array().expect("a list").len(), 1);
    assert_eq!(ended["not_done"][0]["detail"], "it does not fit the filter any more");
    assert_eq!(shop.saga(sagas[1]).await["state"], "compensating");

    let (_, refused) = shop
        .bulk(json!({"action": "resume", "reason": "x", "filter": {"step": "consent", "definition": "trip"}}))
        .await;
    while shop.work_at_once().await {}
    let ended = shop.bulk_operation(&refused["id"]).await;
    assert_eq!((&ended["matches"], &ended["refused"]), (&json!(2), &json!(2)));
    assert_eq!(ended["not_done"][0]["detail"], "the saga is not paused");
    let stop = format!("/v1/admin/bulk_operations/{}/stop", refused["id"].as_str().expect("an id"));
    assert_eq!(shop.post(&stop, &[], json!({})).await.0, StatusCode::CONFLICT, "it is done");
    shop.close().await;
}

#[tokio::test]
async fn a_saga_that_cannot_be_read_fails_alone_and_holds_up_no_operation() {
    let mut shop = Shop::open().await;
    let sagas = shop.parked_many(5).await;
    let spoil = "update saga_log set event = '{\"event\": \"teleported\"}' where saga_id = $1 and revision = 2";
    sqlx::query(spoil).bind(sagas[2]).execute(shop.db()).await.expect("spoils");
    let (_, first) = shop.bulk(retry_parked()).await;
    let (_, second) = shop.bulk(json!({"action": "pause", "reason": "x", "filter": {"state": "live"}})).await;
    while shop.work_at_once().await {}
    let ended = shop.bulk_operation(&first["id"]).await;
    assert_eq!((&ended["state"], &ended["done"], &ended["failed"]), (&json!("done"), &json!(4), &json!(1)), "{ended}");
    assert!(ended["not_done"][0]["detail"].as_str().is_some_and(|why| why.contains("loading saga logs")), "{ended}");
    let ended = shop.bulk_operation(&second["id"]).await;
    assert_eq!((&ended["state"], &ended["done"], &ended["failed"]), (&json!("done"), &json!(4), &json!(1)), "{ended}");
    // The promises could not be asked about a log that nobody can read.
    let mend = "update saga_log set event = '{\"event\": \"woke\"}' where saga_id = $1 and revision = 2";
    sqlx::query(mend).bind(sagas[2]).execute(shop.db()).await.expect("mends");
    shop.close().await;
}

#[tokio::test]
async fn every_verb_works_in_bulk() {
    let mut shop = Shop::open().await;
    let id = shop.parked().await;
    for (action, more, state) in [
        ("pause", json!({}), "paused"),
        ("resume", json!({}), "parked"),
        ("retry", json!({}), "running"),
        ("skip", json!({"step": "seat", "output": 1}), "waiting"),
        ("signal", json!({"signal": "consent", "payload": {}}), "running"),
        ("cancel", json!({}), "running"),
        ("compensate", json!({}), "compensating"),
    ] {
        let mut body = json!({"action": action, "reason": "drill", "filter": {"customer": "ann@example.com"}});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("fields").clone());
        let (status, started) = shop.bulk(body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{action}: {started}");
        while shop.work_at_once().await {}
        assert_eq!(shop.bulk_operation(&started["id"]).await["done"], 1, "{action}");
        assert_eq!(shop.saga(id).await["state"], state, "{action}");
    }
    shop.close().await;
}

#[tokio::test]
async fn another_shops_sagas_and_operations_are_not_there() {
    let mut shop = Shop::open().await;
    let stranger = shop.trip_of(json!({"account_id": Uuid::now_v7(), "livemode": SHOP.livemode})).await;
    let dry = json!({"action": "pause", "filter": {"state": "live"}, "reason": "x", "dry_run": true});
    assert_eq!(shop.bulk(dry).await.1, json!({"matches": 0}));
    let (_, started) = shop.bulk(json!({"action": "pause", "filter": {"state": "live"}, "reason": "x"})).await;
    while shop.work_at_once().await {}
    let state: String = sqlx::query_scalar("select state from saga where id = $1")
        .bind(stranger)
        .fetch_one(shop.db())
        .await
        .expect("reads");
    assert_eq!(state, "running");
    sqlx::query("update bulk_operation set livemode = not livemode").execute(shop.db()).await.expect("gives it away");
    let operation = format!("/v1/admin/bulk_operations/{}", started["id"].as_str().expect("an id"));
    assert_eq!(shop.get(&operation).await.0, StatusCode::NOT_FOUND);
    assert_eq!(shop.post(&format!("{operation}/stop"), &[], json!({})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(shop.get("/v1/admin/bulk_operations").await.1["data"], json!([]));
    assert_eq!(shop.get(&path(stranger)).await.0, StatusCode::NOT_FOUND);
    shop.close().await;
}

#[tokio::test]
async fn what_makes_no_sense_in_bulk_is_refused() {
    let shop = Shop::open().await;
    for (body, pointer) in [
        (json!({"action": "retry", "filter": {}, "reason": "x"}), "/filter"),
        (json!({"action": "retry", "filter": {"state": "asleep"}, "reason": "x"}), "/filter/state"),
        (json!({"action": "retry", "filter": {"min_age_seconds": -1}, "reason": "x"}), "/filter/min_age_seconds"),
        (json!({"action": "retry", "filter": {"state": "parked"}, "reason": ""}), "/reason"),
        (json!({"action": "retry", "filter": {"state": "parked"}, "reason": "x", "step": "seat"}), "/step"),
        (json!({"action": "skip", "filter": {"state": "parked"}, "reason": "x"}), "/step"),
        (json!({"action": "signal", "filter": {"state": "parked"}, "reason": "x"}), "/signal"),
        (json!({"action": "move", "filter": {"state": "parked"}, "reason": "x"}), "/version"),
        (
            json!({"action": "retry", "filter": {"state": "parked"}, "reason": "x", "rate_per_second": 0}),
            "/rate_per_second",
        ),
        (
            json!({"action": "retry", "filter": {"state": "parked"}, "reason": "x", "rate_per_second": 1001}),
            "/rate_per_second",
        ),
    ] {
        let (status, problem) = shop.bulk(body.clone()).await;
        assert_eq!(
            (status, &problem["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)),
            "{body}: {problem}"
        );
    }
    for body in [
        json!({"action": "explode", "filter": {"state": "parked"}, "reason": "x"}),
        json!({"action": "retry", "filter": {"colour": "red"}, "reason": "x"}),
        json!({"filter": {"state": "parked"}, "reason": "x"}),
    ] {
        assert_eq!(shop.bulk(body.clone()).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    }
    shop.close().await;
}

#[tokio::test]
async fn the_same_request_under_one_key_starts_one_operation() {
    let mut shop = Shop::open().await;
    shop.parked_many(2).await;
    let key = [("idempotency-key", "bulk-once")];
    let first = shop.post("/v1/admin/sagas:bulk", &key, retry_parked()).await;
    assert_eq!(shop.post("/v1/admin/sagas:bulk", &key, retry_parked()).await, first);
    assert_eq!(shop.get("/v1/admin/bulk_operations").await.1["data"].as_array().expect("a page").len(), 1);
    while shop.work_at_once().await {}
    assert_eq!(shop.audit_rows().await, 2);
    shop.close().await;
}
