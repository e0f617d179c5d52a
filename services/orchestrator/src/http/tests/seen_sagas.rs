//! Which sagas an operator sees: of the own shop, of every age and state, and those that are stuck.

use axum::http::StatusCode;
use makegood_contracts::id::SagaId;
use makegood_testing::SHOP;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Shop, path};

fn listed(page: &Value) -> Vec<String> {
    let ids = page["data"].as_array().expect("a page").iter();
    ids.map(|saga| saga["id"].as_str().expect("an id").to_owned()).collect()
}

fn shown(id: Uuid) -> String {
    SagaId::from_uuid(id).to_string()
}

#[tokio::test]
async fn an_operator_sees_and_moves_the_sagas_of_the_own_shop_only() {
    let mut shop = Shop::open().await;
    let own = shop.trip().await;
    let of_nobody = shop.trip_of(json!({})).await;
    let others = [
        shop.trip_of(json!({"account_id": Uuid::now_v7(), "livemode": SHOP.livemode})).await,
        shop.trip_of(json!({"account_id": SHOP.id, "livemode": !SHOP.livemode})).await,
    ];
    let (status, page) = shop.get("/v1/admin/sagas").await;
    assert_eq!((status, listed(&page)), (StatusCode::OK, vec![shown(of_nobody), shown(own)]));
    for id in others {
        assert_eq!(shop.get(&path(id)).await.0, StatusCode::NOT_FOUND);
        for (verb, body) in [
            ("retry", json!({})),
            ("skip", json!({"step": "seat"})),
            ("compensate", json!({})),
            ("resolve", json!({"step": "seat"})),
            ("pause", json!({})),
            ("resume", json!({})),
            ("cancel", json!({})),
            ("signal", json!({"signal": "consent"})),
            ("move", json!({"version": 1})),
        ] {
            assert_eq!(shop.operate(id, verb, body).await.0, StatusCode::NOT_FOUND, "{verb}");
        }
    }
    assert_eq!(shop.audit_rows().await, 0);
    shop.close().await;
}

#[tokio::test]
async fn what_no_saga_can_be_is_refused() {
    let shop = Shop::open().await;
    for (query, status) in [
        ("min_age_seconds=0", 200),
        ("min_age_seconds=3155760000", 200),
        ("min_age_seconds=3155760001", 400),
        ("min_age_seconds=-1", 400),
        (&format!("min_age_seconds={}", i64::MAX), 400),
        ("state=paused", 200),
        ("state=live&stuck=true", 200),
        ("state=asleep", 422),
        ("stuck=maybe", 400),
        ("sleeping=true", 400),
    ] {
        let (answered, body) = shop.get(&format!("/v1/admin/sagas?{query}")).await;
        assert_eq!(answered.as_u16(), status, "{query}: {body}");
    }
    shop.close().await;
}

#[tokio::test]
async fn sagas_are_found_by_state_and_step() {
    let mut shop = Shop::open().await;
    let (running, waiting, parked) = (shop.trip().await, shop.waiting().await, shop.parked().await);
    let (paused, completed) = (shop.trip().await, shop.completed().await);
    assert_eq!(shop.operate(paused, "pause", json!({})).await.0, StatusCode::OK);
    for (query, expected) in [
        ("state=running", vec![running]),
        ("state=waiting&step=consent", vec![waiting]),
        ("state=parked&step=seat", vec![parked]),
        ("state=paused", vec![paused]),
        ("state=completed&definition=trip", vec![completed]),
        ("state=live", vec![paused, parked, waiting, running]),
        ("step=seat", vec![paused, parked, running]),
        ("state=parked&step=room", vec![]),
    ] {
        let (status, page) = shop.get(&format!("/v1/admin/sagas?{query}")).await;
        let expected: Vec<_> = expected.into_iter().map(shown).collect();
        assert_eq!((status, listed(&page)), (StatusCode::OK, expected), "{query}");
    }
    shop.close().await;
}

#[tokio::test]
async fn a_saga_is_stuck_when_its_step_takes_longer_than_its_attempts_or_its_timer_is_overdue() {
    let mut shop = Shop::open().await;
    let (fresh, old_step, overdue) = (shop.trip().await, shop.trip().await, shop.trip().await);
    let (waits, waits_too_long) = (shop.waiting().await, shop.waiting().await);
    let (parked, paused) = (shop.parked().await, shop.trip().await);
    shop.operate(paused, "pause", json!({})).await;
    // The default step has 12 attempts of 5 s; the wait for consent an hour, and a minute of grace.
    for (id, at_step_for) in
        [(old_step, "61 s"), (waits, "60 min"), (waits_too_long, "62 min"), (parked, "1 day"), (paused, "1 day")]
    {
        sqlx::query("update saga set step_since = now() - $2::text::interval where id = $1")
            .bind(id)
            .bind(at_step_for)
            .execute(shop.db())
            .await
            .expect("ages");
    }
    sqlx::query("update saga set wake_at = now() - interval '61 s' where id = $1")
        .bind(overdue)
        .execute(shop.db())
        .await
        .expect("ages");
    let (_, page) = shop.get("/v1/admin/sagas?stuck=true").await;
    assert_eq!(listed(&page), [shown(waits_too_long), shown(overdue), shown(old_step)], "{fresh} {page}");
    assert!(shop.saga(old_step).await["step_seconds"].as_i64().expect("an age") >= 61);
    // A retry begins the count anew only where an operator was waited for.
    shop.operate(parked, "retry", json!({})).await;
    let (_, page) = shop.get("/v1/admin/sagas?stuck=true&step=seat").await;
    assert_eq!(listed(&page), [shown(overdue), shown(old_step)]);
    shop.close().await;
}
