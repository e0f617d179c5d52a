//! The whole front door on a real database and broker; the test plays the saga.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use makegood_chassis::{http::layered, sealed_id};
use makegood_contracts::id::CheckoutId;
use makegood_messaging::bus::Bus;
use makegood_testing::{SHOP, ShopApi, TestDatabase, nats_url};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::router;
use crate::{
    MIGRATOR,
    commands::tests::{close, open, require},
    config::Config,
    invariants::INVARIANTS,
    test_checkout::ending,
};

pub(super) struct Door {
    pub(super) database: TestDatabase,
    pub(super) shop: ShopApi,
}

/// What a response says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) body: String,
    pub(super) replayed: bool,
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    fn checkout(&self) -> Uuid {
        self.json()["id"].as_str().and_then(|id| id.parse::<CheckoutId>().ok()).expect("a checkout's id").uuid()
    }
}

impl Door {
    pub(super) async fn open() -> Self {
        let database = TestDatabase::create("order", &MIGRATOR).await;
        let bus = Bus::connect(&nats_url(), "order-test").await.expect("connects");
        let config = Config {
            max_open_checkouts_in_flight: 5_000,
            max_order_event_streams: 1,
            return_window_seconds: 3_600,
            return_receipt_within_seconds: 3_600,
        };
        let shop = ShopApi::open(&database.db, |context| layered(router(context, bus, &config), 5_000)).await;
        Self { database, shop }
    }

    pub(super) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Value) -> Said {
        let route = (method.parse().expect("a method"), path);
        let (status, headers, body) = self.shop.send_for_text(&self.shop.server, route, headers, body).await;
        Said { status: status.as_u16(), body, replayed: headers.contains_key("idempotency-replayed") }
    }

    fn request(&self) -> Value {
        json!({
            "cart_id": sealed_id::seal(&self.shop.secret, "crt", SHOP, Uuid::from_u128(9)),
            "email": "buyer@example.com", "shipping_method": "standard",
            "shipping_address": {"line1": "1 High Street", "city": "Leeds", "postal_code": "LS1 1AA", "country": "GB"},
        })
    }

    pub(super) fn confirming(&self) -> Value {
        let mut request = self.request();
        request["confirm"] = json!(true);
        request["payment_method"] = json!("pm_card_visa");
        request
    }

    /// Plays the saga's first steps for the next accepted checkout.
    pub(super) async fn open_next(&self) -> Uuid {
        loop {
            let accepted: Option<Uuid> = sqlx::query_scalar("select id from checkout where status = 'accepted'")
                .fetch_optional(&self.database.db)
                .await
                .expect("reads");
            if let Some(id) = accepted {
                open(&self.database.db, &[id]).await;
                return id;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_equal_requests_are_one_order_and_one_answer() {
    let door = Door::open().await;
    let request = door.confirming();
    let all = (0..1_000).map(|_| door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1")], request.clone()));
    let (said, id) = tokio::join!(futures::future::join_all(all), door.open_next());
    assert_eq!(said.iter().filter(|said| !said.replayed).count(), 1);
    assert!(said.iter().all(|said| said.status == 202 && said.body == said_body(&said.body, id)));
    let bodies: std::collections::HashSet<&str> = said.iter().map(|said| said.body.as_str()).collect();
    assert_eq!(bodies.len(), 1);
    let orders: i64 =
        sqlx::query_scalar("select count(*) from orders").fetch_one(&door.database.db).await.expect("counts");
    assert_eq!(orders, 1);

    close(&door.database.db, vec![ending(id, None, None)]).await;
    let later = door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1")], request.clone()).await;
    assert!(later.replayed && bodies.contains(later.body.as_str()));
    let waited = door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1"), ("prefer", "wait=5")], request).await;
    assert_eq!((waited.status, waited.json()["status"].as_str()), (201, Some("completed")));
    let other = door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1")], door.request()).await;
    assert_eq!(other.status, 422);
    door.database.verify_and_drop(INVARIANTS).await;
}

/// The body, which must name the checkout.
fn said_body(body: &str, id: Uuid) -> &str {
    assert!(body.contains(&CheckoutId::from_uuid(id).to_string()));
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_checkout_is_confirmed_waited_for_and_read() {
    let door = Door::open().await;
    let request = door.request();
    let (opened, id) = tokio::join!(
        door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1"), ("prefer", "wait=5")], request),
        door.open_next()
    );
    assert_eq!((opened.status, opened.json()["status"].as_str(), opened.checkout()), (201, Some("open"), id));
    let path = format!("/v1/checkouts/{}", CheckoutId::from_uuid(id));
    let confirm = format!("{path}/confirm");
    let method = json!({"payment_method": "pm_card_visa"});

    let card = json!({"payment_method": "4242424242424242"});
    let refused = door.send("POST", &confirm, &[("idempotency-key", "k2")], card).await;
    assert!(refused.status == 422 && !refused.body.contains("4242"), "{refused:?}");

    let pay = async {
        // The buyer must act; whoever waits is told so, and then waits for the end.
        tokio::time::sleep(Duration::from_millis(100)).await;
        require(&door.database.db, id, "requires_action").await;
    };
    let (told, ()) = tokio::join!(
        door.send("POST", &confirm, &[("idempotency-key", "k2"), ("prefer", "wait=5")], method.clone()),
        pay
    );
    assert_eq!((told.status, told.json()["status"].as_str()), (200, Some("requires_action")));
    let again = door.send("POST", &confirm, &[("idempotency-key", "k3")], method).await;
    assert_eq!((again.status, again.json()["status"].as_str()), (202, Some("processing")));
    let another =
        door.send("POST", &confirm, &[("idempotency-key", "k4")], json!({"payment_method": "pm_other"})).await;
    assert_eq!((another.status, another.json()["checkout_status"].as_str()), (409, Some("requires_action")));

    let end = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        close(&door.database.db, vec![ending(id, None, None)]).await;
    };
    let (read, ()) = tokio::join!(door.send("GET", &path, &[("prefer", "wait=5")], Value::Null), end);
    assert_eq!((read.status, read.json()["status"].as_str()), (200, Some("completed")));
    let cancel = door.send("POST", &format!("{path}/cancel"), &[("idempotency-key", "k5")], json!({})).await;
    assert_eq!(
        (cancel.status, cancel.json()["type"].as_str()),
        (409, Some("https://makegood.dev/problems/checkout-final"))
    );

    let order = format!("/v1/orders/{}", opened.json()["order_id"].as_str().expect("an order's id"));
    let read = door.send("GET", &order, &[], Value::Null).await;
    assert_eq!(read.json()["lines"][0]["amount"], json!({"amount": "12.34", "currency": "GBP"}));
    let unchanged = door.send("GET", &order, &[("if-none-match", "\"2\"")], Value::Null).await;
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED.as_u16());
    let page =
        door.send("GET", "/v1/orders?customer=BUYER@example.com&status=completed&limit=1", &[], Value::Null).await;
    assert_eq!((page.json()["data"][0]["id"].as_str(), &page.json()["next"]), (order.rsplit('/').next(), &Value::Null));
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_for_what_is_refused_at_the_door() {
    let door = Door::open().await;
    let no_key = door.send("POST", "/v1/checkouts", &[], door.request()).await;
    assert_eq!(no_key.status, 400);
    let mut foreign = door.request();
    foreign["cart_id"] =
        json!(sealed_id::seal(&door.shop.secret, "crt", SHOP, Uuid::from_u128(9)).replace("crt_0", "crt_1"));
    assert_eq!(door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1")], foreign).await.status, 404);
    for field in ["payment_method", "email"] {
        let mut numbers = door.confirming();
        numbers[field] = json!(4_242_424_242_424_242_u64);
        let refused = door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1")], numbers).await;
        assert!(refused.status == 422 && (field == "email" || !refused.body.contains("4242")), "{refused:?}");
    }
    let stored: i64 =
        sqlx::query_scalar("select (select count(*) from checkout) + (select count(*) from idempotency_key)")
            .fetch_one(&door.database.db)
            .await
            .expect("counts");
    assert_eq!(stored, 0);
    door.database.verify_and_drop(INVARIANTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_an_orders_events_from_where_the_client_left_off() {
    use futures::StreamExt as _;

    let door = Door::open().await;
    let request = door.confirming();
    let (opened, id) =
        tokio::join!(door.send("POST", "/v1/checkouts", &[("idempotency-key", "k1")], request), door.open_next());
    let order = opened.json()["order_id"].as_str().expect("an order's id").to_owned();
    let follow = |last: &str| {
        let request = Request::get(format!("/v1/orders/{order}/events"))
            .header("authorization", format!("Bearer {}", door.shop.server));
        let request = request.header("last-event-id", last).body(Body::empty()).expect("a request");
        door.shop.router.clone().oneshot(request)
    };
    let mut first = follow("0").await.expect("infallible").into_body().into_data_stream();
    assert_eq!(follow("0").await.expect("infallible").status(), StatusCode::TOO_MANY_REQUESTS, "one place only");
    let told = String::from_utf8(first.next().await.expect("an event").expect("a body").to_vec()).expect("UTF-8");
    assert!(told.contains("event: order.opened") && told.contains("id: 1"), "{told}");
    drop(first);

    close(&door.database.db, vec![ending(id, Some(("authorize_payment", "card_declined")), None)]).await;
    let mut second = follow("1").await.expect("infallible").into_body().into_data_stream();
    let told = String::from_utf8(second.next().await.expect("an event").expect("a body").to_vec()).expect("UTF-8");
    assert!(told.contains("event: order.failed") && told.contains("card_declined"), "{told}");
    drop(second);
    door.database.verify_and_drop(INVARIANTS).await;
}
