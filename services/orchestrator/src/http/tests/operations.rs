//! Each verb on one saga: what it answers, what it writes, and what it leaves alone.

use axum::http::StatusCode;
use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::event::Event;
use serde_json::{Value, json};

use super::{Shop, TRIP_2, TRIP_3, path};

#[tokio::test]
async fn a_paused_saga_takes_replies_in_and_goes_on_when_it_is_resumed() {
    let mut shop = Shop::open().await;
    let id = shop.trip().await;
    let (status, answer) = shop.operate(id, "pause", json!({})).await;
    assert_eq!((status, &answer["state"], &answer["step"]), (StatusCode::OK, &json!("paused"), &json!("seat")));
    shop.done(id, "seat").await;
    shop.feed(id, Event::Woke).await;
    let saga = shop.saga(id).await;
    assert_eq!((&saga["state"], &saga["reason"]["code"]), (&json!("paused"), &json!("paused")));
    assert!(saga["reason"]["detail"].as_str().expect("a reason").ends_with("the carrier is down"), "{saga}");
    assert_eq!(saga["context"]["seat"], json!({"number": 7}));
    assert_eq!(shop.operate(id, "retry", json!({})).await.0, StatusCode::CONFLICT);
    let (_, answer) = shop.operate(id, "resume", json!({})).await;
    assert_eq!((&answer["state"], &answer["step"]), (&json!("waiting"), &json!("consent")));
    let (status, answer) = shop.operate(id, "resume", json!({})).await;
    assert_eq!((status, &answer["detail"]), (StatusCode::CONFLICT, &json!("the saga is not paused")));
    shop.close().await;
}

#[tokio::test]
async fn a_skipped_step_gives_its_stand_in_to_the_next_and_is_undone_if_it_is_done_after_all() {
    let mut shop = Shop::open().await;
    let id = shop.parked().await;
    let (status, answer) = shop.operate(id, "skip", json!({"step": "seat", "output": {"number": 12}})).await;
    assert_eq!((status, &answer["state"]), (StatusCode::OK, &json!("waiting")), "{answer}");
    shop.operate(id, "signal", json!({"signal": "consent", "payload": {"by": "phone"}})).await;
    let saga = shop.saga(id).await;
    let sent = &saga["timeline"].as_array().expect("a timeline").last().expect("a row")["sent"][0];
    assert_eq!((&sent["step"], &sent["payload"]), (&json!("room"), &json!({"seat": 12})));
    let pending = Outcome::Pending { reason: "full_house".into(), detail: json!({"until": "noon"}) };
    shop.reply(id, "room", Direction::Do, pending).await;
    let saga = shop.saga(id).await;
    let told = &saga["timeline"].as_array().expect("a timeline").last().expect("a row")["sent"][0];
    assert_eq!((&told["step"], &told["command"]), (&json!("room.pending"), &json!("trips.ask")), "{told}");
    assert_eq!(told["payload"], json!({"reason": "full_house", "detail": {"until": "noon"}}));
    // Another replica reads all of that back from the log.
    shop.cache = Default::default();
    shop.done(id, "seat").await;
    let saga = shop.saga(id).await;
    assert_eq!(saga["context"]["seat"], json!({"number": 12}), "the stand-in stays");
    assert_eq!(saga["steps"][0]["status"], "done_anyway");
    shop.reply(id, "room", Direction::Do, Outcome::refused("full", "no room")).await;
    assert_eq!(shop.saga(id).await["steps"][0]["status"], "undoing");
    shop.undone(id, "seat").await;
    assert_eq!(shop.saga(id).await["state"], "compensated");
    shop.close().await;
}

#[tokio::test]
async fn a_parked_step_is_retried_or_settled_by_hand() {
    let mut shop = Shop::open().await;
    let (retried, resolved) = (shop.parked().await, shop.parked().await);
    assert_eq!(shop.operate(retried, "retry", json!({})).await.1["state"], "running");
    // The driver has it at hand as it was before the operator came.
    shop.reply(retried, "seat", Direction::Do, Outcome::defect("still no such train")).await;
    assert_eq!(shop.saga(retried).await["reason"]["detail"], "still no such train");
    assert_eq!(shop.operate(retried, "retry", json!({})).await.1["state"], "running");
    let (_, answer) = shop.operate(resolved, "resolve", json!({"step": "seat", "output": {"number": 3}})).await;
    assert_eq!((&answer["state"], &answer["step"]), (&json!("waiting"), &json!("consent")));
    assert_eq!(shop.saga(resolved).await["context"]["seat"]["number"], 3);
    let (status, _) = shop.operate(retried, "resolve", json!({"step": "seat"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "it is not parked any more");
    shop.close().await;
}

#[tokio::test]
async fn cancelling_waits_for_what_is_out_and_compensating_does_not() {
    let mut shop = Shop::open().await;
    let (cancelled, compensated) = (shop.trip().await, shop.trip().await);
    assert_eq!(shop.operate(cancelled, "cancel", json!({})).await.1["state"], "running");
    assert_eq!(shop.operate(compensated, "compensate", json!({})).await.1["state"], "compensating");
    shop.done(cancelled, "seat").await;
    for (id, code) in [(cancelled, "cancelled"), (compensated, "compensation_forced")] {
        shop.undone(id, "seat").await;
        let saga = shop.saga(id).await;
        assert_eq!((&saga["state"], &saga["reason"]["code"]), (&json!("compensated"), &json!(code)));
    }
    shop.close().await;
}

#[tokio::test]
async fn there_is_no_way_back_from_the_pivot_nor_from_the_end() {
    let mut shop = Shop::open().await;
    let past_pivot = shop.waiting().await;
    shop.operate(past_pivot, "signal", json!({"signal": "consent"})).await;
    shop.done(past_pivot, "room").await;
    let completed = shop.completed().await;
    let rows = shop.audit_rows().await;
    for (id, why) in [(past_pivot, "pivot"), (completed, "ended")] {
        for verb in ["cancel", "compensate"] {
            let (status, problem) = shop.operate(id, verb, json!({})).await;
            assert_eq!(status, StatusCode::CONFLICT, "{verb}");
            assert_eq!(problem["type"], "https://makegood.dev/problems/saga-not-possible");
            assert!(problem["detail"].as_str().expect("a reason").contains(why), "{problem}");
        }
    }
    assert_eq!(shop.audit_rows().await, rows, "what was refused is not in the audit");
    shop.close().await;
}

#[tokio::test]
async fn the_first_signal_counts_and_the_second_gets_the_saga_as_it_is() {
    let mut shop = Shop::open().await;
    let id = shop.trip().await;
    let (status, kept) = shop.operate(id, "signal", json!({"signal": "consent", "payload": 1})).await;
    assert_eq!((status, &kept["state"]), (StatusCode::OK, &json!("running")), "kept for the step that awaits it");
    let (status, again) = shop.operate(id, "signal", json!({"signal": "consent", "payload": 1})).await;
    assert_eq!((status, &again["revision"]), (StatusCode::OK, &kept["revision"]));
    let (status, problem) = shop.operate(id, "signal", json!({"signal": "consent", "payload": 2})).await;
    assert_eq!(status, StatusCode::CONFLICT, "whoever corrects a payload must not believe that it was taken");
    assert!(problem["detail"].as_str().expect("a reason").contains("the first one counts"), "{problem}");
    shop.done(id, "seat").await;
    assert_eq!(shop.saga(id).await["context"]["consent"], 1);
    assert_eq!(shop.audit_rows().await, 1);
    let (status, problem) = shop.operate(id, "signal", json!({"signal": "applause"})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().expect("a reason").contains("`applause`"), "{problem}");
    let skipped = shop.waiting().await;
    shop.operate(skipped, "skip", json!({"step": "consent"})).await;
    assert_eq!(shop.operate(skipped, "signal", json!({"signal": "consent"})).await.0, StatusCode::CONFLICT);
    shop.close().await;
}

#[tokio::test]
async fn a_saga_that_waits_moves_to_a_version_in_which_what_it_did_means_the_same() {
    let mut shop = Shop::open().await;
    let id = shop.waiting().await;
    let on_its_way = shop.trip().await;
    for (version, yaml) in [(2, TRIP_2), (3, TRIP_3)] {
        sqlx::query("insert into definition (name, version, yaml, sha256) values ('trip', $1, $2, '')")
            .bind(version)
            .bind(yaml)
            .execute(shop.db())
            .await
            .expect("releases a version");
    }
    for (id, version, why) in
        [(id, 1, "already"), (id, 3, "`buses.hold_seat`"), (id, 9, "no version 9"), (on_its_way, 2, "on its way")]
    {
        let (status, problem) = shop.operate(id, "move", json!({"version": version})).await;
        assert_eq!(status, StatusCode::CONFLICT, "{version}");
        assert!(problem["detail"].as_str().expect("a reason").contains(why), "{problem}");
    }
    let (status, answer) = shop.operate(id, "move", json!({"version": 2})).await;
    assert_eq!((status, &answer["state"]), (StatusCode::OK, &json!("waiting")), "{answer}");
    shop.operate(id, "signal", json!({"signal": "consent"})).await;
    let saga = shop.saga(id).await;
    assert_eq!((&saga["version"], &saga["step"]), (&json!(2), &json!("insurance")));
    let timeline = saga["timeline"].as_array().expect("a timeline");
    assert_eq!(timeline[0]["sent"][0]["command"], "trains.hold_seat");
    let moved = &timeline[timeline.len() - 2]["event"];
    assert_eq!((&moved["event"], &moved["from"], &moved["to"]), (&json!("version_moved"), &json!(1), &json!(2)));
    // The driver has begun before that version was released, and goes on with it all the same.
    shop.done(id, "insurance").await;
    assert_eq!(shop.saga(id).await["step"], "room");
    shop.close().await;
}

#[tokio::test]
async fn of_two_operators_who_saw_the_same_one_acts_and_the_other_reads_again() {
    let mut shop = Shop::open().await;
    let id = shop.parked().await;
    let (_, headers, _) = shop.api.send(&shop.api.admin, (axum::http::Method::GET, &path(id)), &[], Value::Null).await;
    let seen = headers["etag"].to_str().expect("a tag").to_owned();
    let condition = [("if-match", seen.as_str())];
    let (retry, compensate) = (format!("{}/retry", path(id)), format!("{}/compensate", path(id)));
    let because = || json!({"reason": "mended"});
    let (one, other) =
        tokio::join!(shop.post(&retry, &condition, because()), shop.post(&compensate, &condition, because()));
    let mut answers = [one.0, other.0];
    answers.sort_unstable();
    assert_eq!(answers, [StatusCode::OK, StatusCode::PRECONDITION_FAILED], "{one:?} {other:?}");
    assert_eq!(shop.audit_rows().await, 1);
    shop.close().await;
}

#[tokio::test]
async fn the_same_operation_under_one_key_is_one_operation() {
    let mut shop = Shop::open().await;
    let id = shop.parked().await;
    let retry = format!("{}/retry", path(id));
    let key = [("idempotency-key", "retry-once")];
    let (first, second) = tokio::join!(
        shop.post(&retry, &key, json!({"reason": "mended"})),
        shop.post(&retry, &key, json!({"reason": "mended"}))
    );
    assert_eq!((first.0, &first), (StatusCode::OK, &second));
    assert_eq!(shop.post(&retry, &key, json!({"reason": "mended"})).await, first);
    assert_eq!(shop.audit_rows().await, 1);
    let (status, _) = shop.post(&retry, &key, json!({"reason": "another"})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    shop.close().await;
}

#[tokio::test]
async fn a_body_that_says_too_little_or_too_much_is_refused() {
    let mut shop = Shop::open().await;
    let id = shop.parked().await;
    for (verb, body) in [
        ("retry", json!({})),
        ("retry", json!({"reason": "  "})),
        ("retry", json!({"reason": "x".repeat(1001)})),
        ("retry", json!({"reason": "a\u{7}"})),
        ("pause", json!({"reason": "x", "step": "seat"})),
        ("skip", json!({"reason": "x"})),
        ("resolve", json!({"reason": "x"})),
        ("signal", json!({"reason": "x"})),
        ("move", json!({"reason": "x"})),
        ("move", json!({"reason": "x", "version": -1})),
    ] {
        let (status, problem) = shop.post(&format!("{}/{verb}", path(id)), &[], body.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{verb} {body}: {problem}");
    }
    let (status, _, _) = shop
        .api
        .send(&shop.api.server, (axum::http::Method::POST, &format!("{}/retry", path(id))), &[], json!({"reason": "x"}))
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a shop's server is no operator");
    assert_eq!(shop.audit_rows().await, 0);
    shop.close().await;
}
