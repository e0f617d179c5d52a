//! Sagas that are past the time for which they are kept: told as such, and never begun a second time.

use axum::http::StatusCode;
use makegood_contracts::{id::SagaId, orchestrator::StartSaga};
use serde_json::{Map, json};
use uuid::{NoContext, Timestamp, Uuid};

use super::{Shop, path};
use crate::driver::Begun;

const SAGAS: &str = "/v1/admin/sagas";

impl Shop {
    /// As if the database had its first tables so many days ago, and dropped all but the last 90 days.
    async fn keep_ninety_days(&self) {
        sqlx::query(
            r"update saga_retention set kept_since = uuidv7_floor(now() - interval '90 days'),
                                        began = uuidv7_floor(now() - interval '200 days')",
        )
        .execute(self.db())
        .await
        .expect("raises the limit");
    }

    async fn id_of_days_ago(&self, days: i64) -> Uuid {
        let seconds: i64 = sqlx::query_scalar("select extract(epoch from now() - make_interval(days => $1))::bigint")
            .bind(i32::try_from(days).expect("few"))
            .fetch_one(self.db())
            .await
            .expect("the time");
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds.unsigned_abs(), 0))
    }

    async fn begin(&mut self, id: Uuid) -> Begun {
        let start = StartSaga {
            saga_id: id,
            definition: "trip".to_owned(),
            reference: "an old one".to_owned(),
            customer: None,
            input: json!({}),
            signals: Map::new(),
            traceparent: None,
        };
        self.advance.start(&mut self.cache, &[start]).await.expect("decides")
    }

    async fn rows_of(&self, id: Uuid) -> i64 {
        sqlx::query_scalar(
            "select (select count(*) from every_saga where id = $1) + (select count(*) from saga_log where saga_id = $1)",
        )
        .bind(id)
        .fetch_one(self.db())
        .await
        .expect("counts")
    }
}

/// The same bits with the mark of another version.
fn as_version_4(id: Uuid) -> Uuid {
    let mut bytes = *id.as_bytes();
    bytes[6] = 0x40 | (bytes[6] & 0x0f);
    Uuid::from_bytes(bytes)
}

#[tokio::test]
async fn a_start_whose_saga_may_be_gone_is_refused_and_writes_nothing() {
    let mut shop = Shop::open().await;
    let straggler = shop.id_of_days_ago(100).await;
    assert!(shop.begin(straggler).await.past.is_empty(), "nothing is past at first");
    shop.keep_ninety_days().await;

    let looks_like_a_day_that_was = as_version_4(shop.id_of_days_ago(120).await);
    for past in [shop.id_of_days_ago(91).await, shop.id_of_days_ago(3_000).await, looks_like_a_day_that_was] {
        let begun = shop.begin(past).await;
        assert!(begun.past.contains(&past) && begun.past.len() == 1, "{past}");
        assert_eq!(shop.rows_of(past).await, 0);
    }
    let has_no_day = as_version_4(shop.id_of_days_ago(3_000).await);
    for kept in [shop.id_of_days_ago(89).await, has_no_day, Uuid::now_v7()] {
        assert!(shop.begin(kept).await.past.is_empty(), "{kept}");
        assert_eq!(shop.rows_of(kept).await, 2);
    }
    // It lives: its log says that it was started, however old it is.
    assert!(shop.begin(straggler).await.past.is_empty());
    assert_eq!(shop.rows_of(straggler).await, 2);
    shop.close().await;
}

#[tokio::test]
async fn over_http_it_is_refused_too_and_who_looks_for_one_is_told_how_long_they_are_kept() {
    let shop = Shop::open().await;
    shop.keep_ninety_days().await;
    let past = shop.id_of_days_ago(91).await;
    let trip =
        |id: Uuid| json!({"id": SagaId::from_uuid(id).to_string(), "definition": "trip", "reference": "ann-2026"});

    let (status, told) = shop.post(SAGAS, &[], trip(past)).await;
    assert_eq!((status.as_u16(), &told["pointer"]), (422, &json!("/id")), "{told}");
    assert!(told["detail"].as_str().expect("a detail").contains("may have run, ended and gone"), "{told}");
    assert_eq!(shop.rows_of(past).await, 0);
    let young = shop.id_of_days_ago(89).await;
    for expected in [StatusCode::CREATED, StatusCode::OK] {
        assert_eq!(shop.post(SAGAS, &[], trip(young)).await.0, expected);
    }
    for path in [path(past), format!("{}/graph", path(past))] {
        let (status, told) = shop.get(&path).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let detail = told["detail"].as_str().expect("a detail");
        assert!(detail.ends_with("Sagas that have ended are kept for 90 days."), "{detail}");
    }
    shop.close().await;
}
