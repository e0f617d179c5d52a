//! The audit: one row for each thing that was done, and each shop reads its own.

use axum::http::StatusCode;
use makegood_contracts::id::SagaId;
use makegood_testing::SHOP;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shop;

#[tokio::test]
async fn everything_that_is_done_has_a_row_with_who_and_why() {
    let mut shop = Shop::open().await;
    let (one, other) = (shop.parked().await, shop.trip().await);
    for (id, verb) in [(one, "pause"), (one, "cancel"), (one, "resume"), (other, "retry")] {
        assert_eq!(shop.operate(id, verb, json!({})).await.0, StatusCode::OK, "{verb}");
    }
    let actions = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().expect("rows").iter();
        rows.map(|row| row["action"].as_str().expect("an action").to_owned()).collect()
    };
    let (_, all) = shop.get("/v1/admin/audit").await;
    assert_eq!(actions(&all), ["retry", "resume", "cancel", "pause"]);
    let row = &all["data"][3];
    assert_eq!(
        (&row["reason"], &row["saga"]),
        (&json!("the carrier is down"), &json!(SagaId::from_uuid(one).to_string()))
    );
    assert_eq!(row["detail"]["event"], "paused");
    let actor = row["actor"].as_str().expect("an actor").to_owned();
    assert!(actor.contains("test") && !shop.api.admin.is_empty() && !actor.contains(&shop.api.admin), "{actor}");

    let saga = SagaId::from_uuid(one);
    assert_eq!(actions(&shop.get(&format!("/v1/admin/audit?saga={saga}")).await.1), ["resume", "cancel", "pause"]);
    assert_eq!(actions(&shop.get("/v1/admin/audit?action=cancel").await.1), ["cancel"]);
    assert_eq!(actions(&shop.get("/v1/admin/audit?actor=nobody").await.1), Vec::<String>::new());
    let (_, page) = shop.get("/v1/admin/audit?limit=3").await;
    let next = page["next"].as_str().expect("there is one more");
    let (_, last) = shop.get(&format!("/v1/admin/audit?limit=3&after={next}")).await;
    assert_eq!((actions(&last), &last["next"]), (vec!["pause".to_owned()], &Value::Null));
    assert_eq!(shop.get("/v1/admin/audit?saga=nonsense").await.0, StatusCode::NOT_FOUND);
    assert_eq!(shop.get("/v1/admin/audit?action=nonsense").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    shop.close().await;
}

#[tokio::test]
async fn another_shops_rows_are_not_shown() {
    let shop = Shop::open().await;
    for (account, livemode) in
        [(Some(SHOP.id), Some(SHOP.livemode)), (Some(Uuid::now_v7()), Some(SHOP.livemode)), (None, None)]
    {
        sqlx::query(
            r"insert into audit (id, actor, action, saga_id, reason, account_id, livemode)
              values ($1, 'ann', 'retry', $2, 'mended', $3, $4)",
        )
        .bind(Uuid::now_v7())
        .bind(Uuid::now_v7())
        .bind(account)
        .bind(livemode)
        .execute(shop.db())
        .await
        .expect("writes a row");
    }
    let (_, page) = shop.get("/v1/admin/audit").await;
    assert_eq!(page["data"].as_array().expect("rows").len(), 2, "the own one, and that of a saga of nobody");
    shop.close().await;
}
