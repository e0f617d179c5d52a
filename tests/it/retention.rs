//! Sagas that have ended go after the days for which they are kept, and whoever asks for one, or starts it again, is told so.

use std::time::Duration;

use makegood_tests::{As, System, until};
use sqlx::PgConnection;
use uuid::Uuid;

const WITHIN: Duration = Duration::from_secs(30);
/// What a phone order waits for: one that brings it along ends as it starts.
const SIGNALS: &[&str] = &["approval"];

#[tokio::test]
async fn a_saga_goes_after_its_time_and_is_never_run_again() {
    let mut system = System::start().await;
    let definitions = system.phone_order_definitions();
    let mut database = system.database("orchestrator").await;
    // As if the system had run for ten days.
    sqlx::query("select make_day_partitions('saga_log', 10, 7), make_day_partitions('finished_saga', 10, 7)")
        .execute(&mut database)
        .await
        .expect("makes the days");
    sqlx::query("update saga_retention set began = uuidv7_floor(now() - interval '10 days')")
        .execute(&mut database)
        .await
        .expect("says since when");

    restart_orchestrator(&mut system, &definitions, "forever").await;
    let old: Uuid = sqlx::query_scalar("select uuidv7_floor(now() - interval '6 days')")
        .fetch_one(&mut database)
        .await
        .expect("an id of six days ago");
    let young = Uuid::now_v7();
    for saga in [old, young] {
        system.start_phone_order(saga, SIGNALS).await;
        until(&format!("{saga} has ended"), WITHIN, async || {
            (state(&system, saga).await? == "completed").then_some(())
        })
        .await;
    }
    sqlx::query("update finished_saga set finished_at = now() - interval '5 days' where id = $1")
        .bind(old)
        .execute(&mut database)
        .await
        .expect("ages the saga");

    let mut participant = system.database("inventory").await;
    sqlx::query("select make_day_partitions('barrier', 10, 7)")
        .execute(&mut participant)
        .await
        .expect("makes the days");
    sqlx::query(
        r#"insert into barrier (saga_id, step, direction, outcome)
           select id, 'hold_stock', 'do', '{"status": "done"}' from unnest($1::uuid[]) as id"#,
    )
    .bind(vec![old, young])
    .execute(&mut participant)
    .await
    .expect("writes what it did for both");

    restart_orchestrator(&mut system, &definitions, "2").await;
    until("the participant has forgotten the old saga, and only that", WITHIN, async || {
        let known: Vec<Uuid> =
            sqlx::query_scalar("select saga_id from barrier").fetch_all(&mut participant).await.expect("reads");
        assert!(known.contains(&young), "{known:?}");
        (known == [young]).then_some(())
    })
    .await;
    let answer = until("the old saga is gone", WITHIN, async || {
        let answer = system.api.get(&path(old), As::Operator).await.ok()?;
        (answer.status == 404).then_some(answer)
    })
    .await;
    assert!(answer.text_at("/detail").contains("kept for 2 days"), "{}", answer.body);
    assert_eq!(state(&system, young).await.as_deref(), Some("completed"));
    assert_eq!(kept(&mut database).await, [(young, young)], "of the old one neither the log nor the saga");

    // The same message once more, as a stream that was restored from a backup would bring it.
    system.start_phone_order(old, SIGNALS).await;
    system.start_phone_order(young, SIGNALS).await;
    let letter = until("the late start is a dead letter", WITHIN, async || {
        let letters = system.dead_letters(&["ls", "--service", "orchestrator", "-o", "json"]).await.json_lines();
        letters.into_iter().next()
    })
    .await;
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("older than sagas are kept")), "{letter}");
    system.jetstream().await.wait_until_consumed().await;
    assert_eq!(kept(&mut database).await, [(young, young)], "neither has run again");
    system.finish().await;
}

async fn restart_orchestrator(system: &mut System, definitions: &str, kept: &str) {
    system.stop("orchestrator").await;
    let settings = [("MAKEGOOD_DEFINITIONS", definitions), ("MAKEGOOD_SAGA_RETENTION", kept)];
    system.restart_with("orchestrator", &settings).await;
}

fn path(saga: Uuid) -> String {
    format!("/v1/admin/sagas/sga_{}", saga.simple())
}

async fn state(system: &System, saga: Uuid) -> Option<String> {
    let answer = system.api.get(&path(saga), As::Operator).await.ok()?;
    answer.status.is_success().then(|| answer.text_at("/state").to_owned())
}

/// The sagas with a log, and those that have ended, side by side.
async fn kept(database: &mut PgConnection) -> Vec<(Uuid, Uuid)> {
    sqlx::query_as(
        "select distinct l.saga_id, f.id from saga_log l full join finished_saga f on f.id = l.saga_id order by 1",
    )
    .fetch_all(database)
    .await
    .expect("reads what is kept")
}
