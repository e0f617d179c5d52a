//! The background that asks: what happens while it asks, what it cannot read or book, and what it forgets.

use makegood_contracts::command::Direction;
use serde_json::json;
use uuid::Uuid;

use super::{
    callbacks,
    world::{World, dropping, healthy, is_retry, key},
};
use crate::{
    operation::id_of_step, operation_inquiry, operation_inquiry::forget_callbacks, provider::Errand,
    settlement::settle, store,
};

async fn execute(world: &World, sql: &'static str, id: Uuid) {
    sqlx::query(sql).bind(id).execute(&world.db).await.expect("executes");
}

/// Two authorizations whose answers were lost after their effect.
async fn two_unknown(world: &World) -> [Uuid; 2] {
    world.set_faults(dropping()).await;
    let sagas = [Uuid::now_v7(), Uuid::now_v7()];
    for saga in sagas {
        assert!(is_retry(&world.authorize(saga, "pm_card_visa").await));
    }
    world.set_faults(healthy()).await;
    sagas
}

async fn settles_the_sound_one(world: &World, odd: Uuid, sound: Uuid) {
    assert_eq!(world.inquire().await.len(), 1);
    assert_eq!((world.state(odd).await, world.state(sound).await), ("processing".into(), "requires_capture".into()));
}

async fn settles_the_mended_one(world: World, odd: Uuid) {
    assert_eq!(world.inquire().await.len(), 1, "it comes back once it is mended");
    assert_eq!(world.state(odd).await, "requires_capture");
    world.end().await;
}

/// The buyer authenticates just after the provider has said that it waits for them: the hint of it comes before that answer is written.
#[tokio::test]
async fn a_callback_that_comes_while_its_operation_is_asked_about_has_it_asked_again_at_once() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_authenticationRequired").await;
    let id = id_of_step(&key(saga, "authorize_payment", Direction::Do));
    let mut connection = world.db.acquire().await.expect("a connection");
    let pairs = store::readable_operations(&mut connection, &[id]).await.expect("reads");
    drop(connection);
    let errands = pairs.into_iter().map(|(operation, intent)| Errand { operation, intent, ask_first: true }).collect();
    let verdicts = world.cashier.provider.carry_out(errands).await;
    let body = json!({ "event_id": "evt_1", "operation_id": id }).to_string();
    assert_eq!(callbacks::post(&world, &body, 0).await, 204);
    settle(&world.db, verdicts, &[]).await.expect("settles");
    let (asked, _) = operation_inquiry::ask_due(&world.cashier).await.expect("asks");
    assert_eq!(asked, 1, "the hint is not overwritten by the answer that it overtook");
    world.end().await;
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_holds_up_no_other() {
    let world = World::new().await;
    let [odd, sound] = two_unknown(&world).await;
    let unchecked = "alter table payment_operation drop constraint payment_operation_kind";
    sqlx::query(unchecked).execute(&world.db).await.expect("lets any word in");
    execute(&world, "update payment_operation set kind = 'barter' where saga_id = $1", odd).await;
    settles_the_sound_one(&world, odd, sound).await;
    execute(&world, "update payment_operation set kind = 'authorize' where saga_id = $1", odd).await;
    settles_the_mended_one(world, odd).await;
}

#[tokio::test]
async fn an_operation_that_cannot_be_booked_holds_up_no_other() {
    let world = World::new().await;
    let [odd, sound] = two_unknown(&world).await;
    let refuse = "create table unbookable (intent_id uuid); create function refuse() returns trigger language plpgsql as $$ begin
                      if new.intent_id in (select intent_id from unbookable) then raise 'not this one'; end if; return new;
                  end $$; create trigger refuse before insert on transfer for each row execute function refuse()";
    sqlx::raw_sql(refuse).execute(&world.db).await.expect("refuses from now on");
    execute(&world, "insert into unbookable values ($1)", odd).await;
    settles_the_sound_one(&world, odd, sound).await;
    execute(&world, "delete from unbookable where intent_id = $1", odd).await;
    settles_the_mended_one(world, odd).await;
}

#[tokio::test]
async fn a_callback_is_forgotten_when_nobody_repeats_it_any_more() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    world.authorize(saga, "pm_card_authenticationRequired").await;
    let id = id_of_step(&key(saga, "authorize_payment", Direction::Do));
    for event in ["evt_old", "evt_young"] {
        let body = json!({ "event_id": event, "operation_id": id }).to_string();
        assert_eq!(callbacks::post(&world, &body, 0).await, 204);
    }
    let days_ago =
        "update provider_callback set received_at = now() - interval '7 days 1 minute' where event_id = 'evt_old'";
    sqlx::query(days_ago).execute(&world.db).await.expect("ages");
    assert_eq!(forget_callbacks(&world.db).await.expect("forgets"), 1);
    let left: Vec<String> =
        sqlx::query_scalar("select event_id from provider_callback").fetch_all(&world.db).await.expect("lists");
    assert_eq!(left, ["evt_young"]);
    world.end().await;
}
