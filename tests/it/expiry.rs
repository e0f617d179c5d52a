//! P5: a confirmation that races the end of its hold wins or loses, and never half.

use std::time::Duration;

use futures::{StreamExt, stream};
use makegood_tests::{Api, As, Stock, System};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{Instant, sleep_until};

const CHECKOUTS: i64 = 100;
/// Confirmations come from this much before the hold's end to as much after it.
const SPREAD_MS: i64 = 50;
/// Openings are apart, so that each confirmation meets its own end and not a crowd.
const APART: Duration = Duration::from_millis(15);
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_confirmation_at_the_end_of_its_hold_completes_or_expires() {
    let system = System::start_with(&[("MAKEGOOD_HOLD_TTL", "2")]).await;
    system.api.sell("BOOK", "9.00", CHECKOUTS).await.expect("on sale");
    let clock = Clock::read(&system).await;
    let begun = Instant::now();
    stream::iter(0..CHECKOUTS)
        .for_each_concurrent(None, async |n| {
            sleep_until(begun + APART * u32::try_from(n).expect("a small number")).await;
            confirm_at_the_end(&system.api, &clock, n * 2 * SPREAD_MS / CHECKOUTS - SPREAD_MS).await;
        })
        .await;

    let ended = system.wait_until_all_ended(DECIDED_WITHIN).await;
    let (completed, expired) = (ended.get("completed").copied(), ended.get("expired").copied());
    let (Some(completed), Some(expired)) = (completed, expired) else { panic!("no race was run: {ended:?}") };
    assert_eq!(completed + expired, CHECKOUTS, "{ended:?}");
    assert_eq!(system.stock("BOOK").await, Stock { on_hand: CHECKOUTS - completed, bound: 0 });
    let charged = "select count(*) from charge where state = 'captured'";
    let kept = "select count(*) from charge where state in ('authorized', 'requires_action')";
    assert_eq!((system.count("sandbox", charged).await, system.count("sandbox", kept).await), (completed, 0));
    system.finish().await;
}

async fn confirm_at_the_end(api: &Api, clock: &Clock, offset_ms: i64) {
    let cart = api.cart(&[("BOOK", 1)]).await.expect("a cart");
    let opened = api.post("/v1/checkouts", As::Buyer, &Api::open_checkout_of(&cart)).await.expect("answers");
    let end = OffsetDateTime::parse(opened.text_at("/hold/expires_at"), &Rfc3339).expect("a time");
    sleep_until(clock.instant_of(end + time::Duration::milliseconds(offset_ms))).await;
    let path = format!("/v1/checkouts/{}/confirm", opened.text_at("/id"));
    let confirmed = api.post(&path, As::Buyer, &json!({"payment_method": "pm_card_visa"})).await.expect("answers");
    // Too late is an answer too; whether it was, the checkout's end says.
    assert!(matches!(confirmed.status.as_u16(), 202 | 409), "{confirmed:?}");
}

/// The database's clock, by which holds end, as this process's.
struct Clock {
    read_at: Instant,
    said: OffsetDateTime,
}

impl Clock {
    async fn read(system: &System) -> Self {
        let mut database = system.database("inventory").await;
        let said = sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut database).await.expect("a time");
        Self { read_at: Instant::now(), said }
    }

    fn instant_of(&self, time: OffsetDateTime) -> Instant {
        self.read_at + Duration::try_from(time - self.said).unwrap_or(Duration::ZERO)
    }
}
