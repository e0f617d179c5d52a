//! The routes on a real database, and what is sent again on a real bus.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use futures::StreamExt as _;
use makegood_contracts::id::DeadLetterId;
use makegood_testing::{ShopApi, TestDatabase, nats_url};
use serde_json::{Value, json};
use sqlx::migrate::Migrator;
use uuid::Uuid;

use super::router;
use crate::{bus::Bus, dead_letter::redriving::redrive_due};

const ALL: &str = "/v1/admin/dead_letters/inventory";
const EVENT: &str =
    r#"{"id":"0198f0c2-a3b4-7c5d-8e9f-0a1b2c3d4e5f","payload":{"email":"ann@example.com","quantity":3}}"#;

/// A service's letters, and its operator.
struct Post {
    database: TestDatabase,
    api: ShopApi,
}

impl Post {
    async fn open() -> Self {
        let database = TestDatabase::create("inventory", &Migrator::with_migrations(Vec::new())).await;
        let api = ShopApi::open(&database.db, |context| router(context, "inventory")).await;
        Self { database, api }
    }

    async fn letter(&self, subject: &str, payload: &str) -> String {
        let id = Uuid::now_v7();
        sqlx::query("insert into dead_letter (id, subject, payload, reason, deliveries) values ($1, $2, $3, $4, 1)")
            .bind(id)
            .bind(subject)
            .bind(payload.as_bytes())
            .bind("unknown field `ann@example.com`")
            .execute(&self.database.db)
            .await
            .expect("parks");
        DeadLetterId::from_uuid(id).to_string()
    }

    async fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.api.send(&self.api.admin, (Method::GET, path), &[], Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    async fn decide(&self, id: &str, decision: &str, key: &str) -> (u16, Value) {
        let path = format!("{ALL}/{id}/{decision}");
        let body = json!({"reason": "the release is out"});
        let headers = [("Idempotency-Key", key)];
        let (status, _, told) = self.api.send(&self.api.admin, (Method::POST, &path), &headers, body).await;
        (status.as_u16(), told)
    }

    async fn audit_rows(&self) -> i64 {
        sqlx::query_scalar("select count(*) from dead_letter_audit").fetch_one(&self.database.db).await.expect("counts")
    }

    async fn close(self) {
        let Self { database, api } = self;
        drop(api);
        database.verify_and_drop(&[]).await;
    }
}

#[tokio::test]
async fn letters_are_listed_a_page_at_a_time_and_told_without_what_is_somebodys_own() {
    let post = Post::open().await;
    for subject in ["evt.product.priced.v1", "evt.product.withdrawn.v1", "evt.product.priced.v1"] {
        post.letter(subject, EVENT).await;
    }
    let first = post.get(&format!("{ALL}?limit=2")).await;
    let rest = post.get(&format!("{ALL}?limit=2&after={}", first["next"].as_str().expect("there are more"))).await;
    assert_eq!((first["data"].as_array().map(Vec::len), rest["data"].as_array().map(Vec::len)), (Some(2), Some(1)));
    assert_eq!(rest["next"], Value::Null);
    let of_one = post.get(&format!("{ALL}?subject=evt.product.withdrawn.v1")).await;
    assert_eq!(of_one["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(of_one["data"][0]["reason"], "unknown field `(masked)`");

    let id = of_one["data"][0]["id"].as_str().expect("an id");
    let shown = post.get(&format!("{ALL}/{id}")).await;
    assert_eq!(shown["payload"]["payload"], json!({"email": "(masked)", "quantity": 3}));
    assert_eq!((&shown["not_redrivable"], &shown["state"]), (&Value::Null, &json!("waiting")));
    assert!(!shown.to_string().contains("ann@"), "{shown}");
    for key in [&post.api.server, &post.api.storefront] {
        for path in [ALL.to_owned(), format!("{ALL}/{id}")] {
            let (status, ..) = post.api.send(key, (Method::GET, &path), &[], Value::Null).await;
            assert_eq!(status, StatusCode::FORBIDDEN);
        }
    }
    post.close().await;
}

#[tokio::test]
async fn a_letter_is_sent_again_once_it_is_asked_for_and_once_more_if_nobody_noted_it() {
    let post = Post::open().await;
    let subject: &'static str = format!("evt.letters-{}.priced.v1", Uuid::now_v7().simple()).leak();
    let bus = Bus::connect(&nats_url(), "letters-test").await.expect("connects");
    let mut heard = Box::pin(bus.listen(subject).await.expect("listens"));
    let id = post.letter(subject, EVENT).await;

    let (status, redriving) = post.decide(&id, "redrive", "k1").await;
    assert_eq!((status, &redriving["state"]), (202, &json!("redriving")), "{redriving}");
    assert_eq!(post.decide(&id, "redrive", "k1").await, (202, redriving), "one key, one answer");
    for decision in ["redrive", "discard"] {
        let (status, told) = post.decide(&id, decision, decision).await;
        assert_eq!((status, &told["type"]), (409, &json!("https://makegood.dev/problems/dead-letter-decided")));
    }
    assert_eq!(post.audit_rows().await, 1);

    redrive_due(&post.database.db, &bus).await.expect("sends");
    let message = tokio::time::timeout(Duration::from_secs(10), heard.next()).await.expect("in time").expect("comes");
    let items: Value = serde_json::from_slice(&message).expect("JSON");
    assert_eq!(items.to_string(), format!("[{EVENT}]"), "as it was, though it is shown masked");
    let shown = post.get(&format!("{ALL}/{id}")).await;
    assert_eq!((&shown["state"], &shown["audit"][0]["reason"]), (&json!("redriven"), &json!("the release is out")));
    assert_eq!(post.get(ALL).await["data"], json!([]));

    // As if the process had died before it noted that the message is out.
    sqlx::query("update dead_letter set redrive_at = now(), resolved_at = null, resolution = null")
        .execute(&post.database.db)
        .await
        .expect("forgets");
    redrive_due(&post.database.db, &bus).await.expect("sends again");
    let again = tokio::time::timeout(Duration::from_secs(10), heard.next()).await.expect("in time").expect("comes");
    assert_eq!(again, message);
    redrive_due(&post.database.db, &bus).await.expect("has nothing to send");
    assert_eq!(post.get(&format!("{ALL}?state=resolved")).await["data"][0]["state"], "redriven");
    post.close().await;
}

#[tokio::test]
async fn a_letter_is_let_go_for_a_reason_and_only_one_that_is_a_message_is_sent_again() {
    let post = Post::open().await;
    let no_message = post.letter("hold_stock", "0198f0c2:hold:do").await;
    let (status, told) = post.decide(&no_message, "redrive", "k1").await;
    assert_eq!((status, &told["type"]), (409, &json!("https://makegood.dev/problems/dead-letter-not-redrivable")));
    let shown = post.get(&format!("{ALL}/{no_message}")).await;
    assert!(shown["payload"].is_null() && shown["not_redrivable"].is_string(), "{shown}");
    let of_a_step = post.letter("cmd.inventory.hold_stock.v1", EVENT).await;
    assert_eq!(post.decide(&of_a_step, "redrive", "k0").await.0, 409, "its saga may be over, and would not undo it");

    let path = format!("{ALL}/{no_message}/discard");
    for body in [json!({"reason": " "}), json!({})] {
        let (status, ..) = post.api.send(&post.api.admin, (Method::POST, &path), &[], body).await;
        assert!(status.is_client_error());
    }
    let by_server = post.api.send(&post.api.server, (Method::POST, &path), &[], json!({"reason": "mine"})).await;
    assert_eq!((by_server.0, post.audit_rows().await), (StatusCode::FORBIDDEN, 0));
    let (status, gone) = post.decide(&no_message, "discard", "k2").await;
    assert_eq!((status, &gone["state"], post.audit_rows().await), (200, &json!("discarded"), 1));
    let unknown = DeadLetterId::from_uuid(Uuid::now_v7()).to_string();
    assert_eq!(post.decide(&unknown, "discard", "k3").await.0, 404);
    let changed = sqlx::query("update dead_letter_audit set reason = 'another'").execute(&post.database.db).await;
    assert!(changed.expect_err("rows stay").to_string().contains("never changed"));
    post.close().await;
}
