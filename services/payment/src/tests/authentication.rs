//! 3-D Secure, both ways: the buyer passes, fails, or is not waited for any longer.

use makegood_contracts::{command::Direction, reply::Outcome};
use serde_json::json;
use uuid::Uuid;

use super::world::{World, done_with, refused_with};

const CARD: &str = "pm_card_authenticationRequired";

/// The address that the buyer is sent to.
fn redirect_url(outcome: &Outcome) -> String {
    let Outcome::Pending { reason, detail } = outcome else { panic!("expected an action, got {outcome:?}") };
    assert_eq!(reason, "requires_action");
    detail["redirect_url"].as_str().expect("an address").to_owned()
}

#[tokio::test]
async fn a_buyer_who_authenticates_pays_and_one_who_fails_does_not() {
    let world = World::new().await;
    for outcome in ["authenticated", "failed"] {
        let saga = Uuid::now_v7();
        let pending = world.authorize(saga, CARD).await;
        let url = redirect_url(&pending);
        assert_eq!(world.recorded(saga, Direction::Do).await, Some(pending.clone()));
        assert_eq!(world.authorize(saga, CARD).await, pending, "asking again changes nothing");
        assert_eq!(world.state(saga).await, "requires_action");

        let page = world.http.get(&url).send().await.expect("a page").text().await.expect("text");
        assert!(page.contains(r#"value="authenticated""#) && page.contains(r#"value="failed""#), "{page}");
        let answer = world.http.post(&url).json(&json!({ "outcome": outcome })).send().await.expect("answers");
        assert!(answer.status().is_success());
        let again = world.http.post(&url).json(&json!({ "outcome": outcome })).send().await.expect("answers");
        assert_eq!(again.status(), 409);

        let decided = world.authorize(saga, CARD).await;
        assert_eq!(
            world.recorded(saga, Direction::Do).await,
            Some(decided.clone()),
            "the decision replaces the pending one"
        );
        if outcome == "authenticated" {
            assert!(!done_with(&decided).is_null());
            assert!(!done_with(&world.capture(saga).await).is_null());
        } else {
            assert_eq!(refused_with(&decided), "authentication_failed");
            assert_eq!(world.state(saga).await, "failed");
        }
    }
    world.end().await;
}

#[tokio::test]
async fn the_background_tells_the_step_what_the_buyer_did() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    let url = redirect_url(&world.authorize(saga, CARD).await);
    assert!(world.inquire().await.is_empty(), "nothing is decided yet");
    let form =
        world.http.post(&url).header("content-type", "application/x-www-form-urlencoded").body("outcome=authenticated");
    assert!(form.send().await.expect("answers").status().is_success());
    // The callback may have made it due by now; asked about it is in either case.
    let decisions = world.inquire().await;
    assert_eq!(decisions.len(), 1);
    assert!(!done_with(&decisions[0].2).is_null());
    assert_eq!(world.state(saga).await, "requires_capture");
    world.end().await;
}

#[tokio::test]
async fn a_void_ends_the_wait_for_the_buyer() {
    let world = World::new().await;
    let saga = Uuid::now_v7();
    let url = redirect_url(&world.authorize(saga, CARD).await);
    assert_eq!(world.void(saga, CARD).await, Outcome::done());
    assert_eq!(world.state(saga).await, "canceled");
    let late = world.http.post(&url).json(&json!({ "outcome": "authenticated" })).send().await.expect("answers");
    assert_eq!(late.status(), 409);
    assert!(world.inquire().await.is_empty());
    assert_eq!(world.charge(saga).await, Some([0, 0, 0, 0]));
    world.end().await;
}
