//! P1 to P7 at once: buyers who insist, while every role is killed at random, both servers die, and all of JetStream is lost.
//!
//! `MAKEGOOD_TEST_CHAOS_CHECKOUTS` says how many checkouts (5,000 is a good night's run), `MAKEGOOD_TEST_CHAOS_SEED` which
//! roles die in which order; the seed of a run is printed.

use std::{
    fmt::Display,
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use makegood_tests::{Answer, Api, As, IMPATIENT, Stock, System, until};

/// Short enough for every run of the suite, long enough for each role to die.
const CHECKOUTS: usize = 1_000;
const AT_ONCE: usize = 64;
/// Of ten checkouts, this many are paid with a card that is declined.
const DECLINED_OF_TEN: usize = 1;
/// Every fifth buyer wants what there is plenty of; all others want what there is too little of, and some come too late.
const PLENTY_FOR_EVERY: usize = 5;
/// I4 of the faults: all is decided 120 s after the last of them.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
const ROLES: [&str; 7] = ["orchestrator", "order", "cart", "inventory", "payment", "fulfillment", "sandbox"];

#[tokio::test]
async fn every_accepted_checkout_ends_once_whatever_dies_meanwhile() {
    let checkouts = setting("MAKEGOOD_TEST_CHAOS_CHECKOUTS", CHECKOUTS);
    let mut random = Random::seeded();
    let mut system = System::start_with(&IMPATIENT).await;
    let units = i64::try_from(checkouts).expect("a count");
    let scarce = units * 3 / 5;
    system.api.sell("PLENTY", "5.00", units).await.expect("on sale");
    system.api.sell("SCARCE", "7.00", scarce).await.expect("on sale");

    let api = system.api.clone();
    let answered = AtomicUsize::new(0);
    let buying = stream::iter(0..checkouts)
        .map(async |n| {
            let answer = buy(&api, n).await;
            answered.fetch_add(1, Ordering::Relaxed);
            answer
        })
        .buffer_unordered(AT_ONCE)
        .collect();
    let (answers, ()): (Vec<Answer>, ()) =
        tokio::join!(buying, wreak_havoc(&mut system, &mut random, &answered, checkouts));

    let ended = system.wait_until_all_ended(DECIDED_WITHIN).await;
    eprintln!("{checkouts} checkouts ended as {ended:?}");
    assert_eq!(ended.values().sum::<i64>(), units, "one checkout per key");
    // One that was told to come back later may have become an order, or been refused.
    let count = |is_open: bool| answers.iter().filter(|answer| is_success_with_total(answer, is_open)).count() as i64;
    let (told, late) = (count(true), count(false));
    let orders = system.count("order", "select count(*) from orders").await;
    assert!((told..=told + late).contains(&orders), "{orders} orders, {told} told and {late} to be told later");
    let completed = ended.get("completed").copied().unwrap_or_default();
    assert_books_are_exact(&system, completed, units, scarce).await;
    system.finish().await;
}

/// One buyer: a cart, and a checkout that is sent with one key until it is answered, be it with a refusal.
async fn buy(api: &Api, n: usize) -> Answer {
    let sku = if n.is_multiple_of(PLENTY_FOR_EVERY) { "PLENTY" } else { "SCARCE" };
    let card = if n % 10 < DECLINED_OF_TEN { "pm_card_chargeDeclined" } else { "pm_card_visa" };
    let cart = api.cart(&[(sku, 1)]).await.expect("a cart");
    let answer = api.insist("/v1/checkouts", As::Buyer, &api.fresh_token(), &Api::checkout_of(&cart, card)).await;
    assert!(answer.status.is_success() || answer.status.as_u16() == 409, "{answer:?}");
    answer
}

fn is_success_with_total(answer: &Answer, with_total: bool) -> bool {
    answer.status.is_success() && answer.body["total"].is_object() == with_total
}

/// One fault after the other until all buyers are answered: roles in random order, and each of the great ones once.
async fn wreak_havoc(system: &mut System, random: &mut Random, answered: &AtomicUsize, checkouts: usize) {
    let answered = || answered.load(Ordering::Relaxed);
    for round in 0_usize.. {
        // The great faults come at fixed shares of the way, so that every run has all of them.
        let mark = (round + 1) * checkouts / 10;
        until("buyers are answered", DECIDED_WITHIN, async || (answered() >= mark.min(checkouts)).then_some(())).await;
        match round {
            2 => system.kill_postgres().await,
            4 => system.wipe_nats().await,
            6 => system.kill_nats().await,
            9.. => return,
            _ => {
                for role in random.some_of(&ROLES) {
                    system.kill9(role).await;
                    system.restart(role).await;
                }
            }
        }
    }
}

async fn assert_books_are_exact(system: &System, completed: i64, plenty: i64, scarce: i64) {
    let left = [system.stock("PLENTY").await, system.stock("SCARCE").await];
    assert!(left.iter().all(|stock: &Stock| stock.bound == 0 && stock.on_hand >= 0), "{left:?}");
    assert_eq!(plenty + scarce - left[0].on_hand - left[1].on_hand, completed, "{left:?}");
    for (sql, expected, says) in [
        ("select count(*) from charge where state = 'captured'", completed, "each order is charged"),
        ("select count(distinct order_id) from charge where state = 'captured'", completed, "and only once"),
        ("select count(*) from charge where state in ('authorized', 'requires_action')", 0, "and nothing else is kept"),
    ] {
        assert_eq!(system.count("sandbox", sql).await, expected, "{says}");
    }
    let live_holds = "select count(*) from hold where state in ('held', 'allocated')";
    assert_eq!(system.count("inventory", live_holds).await, 0);
}

/// Xorshift64 (Marsaglia 2003): a run can be repeated by its seed, and needs no better numbers.
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        // A UUIDv7 ends in random bits. Zero is the one seed that never becomes anything else.
        let seed = setting("MAKEGOOD_TEST_CHAOS_SEED", uuid::Uuid::now_v7().as_u128() as u64 | 1);
        eprintln!("MAKEGOOD_TEST_CHAOS_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One to three of them, one after the other; the same one may die twice.
    fn some_of<'a>(&mut self, all: &[&'a str]) -> Vec<&'a str> {
        let count = 1 + self.next() % 3;
        (0..count).map(|_| all[(self.next() % all.len() as u64) as usize]).collect()
    }
}

fn setting<T: FromStr<Err: Display>>(variable: &str, default: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")),
        Err(_) => default,
    }
}
