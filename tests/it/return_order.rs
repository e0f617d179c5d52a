//! Goods of an order come back: exactly what came is refunded, what can be sold again is in stock, once, whatever happens
//! meanwhile.

mod faults;
mod steps;

use std::time::Duration;

use futures::future::join_all;
use makegood_tests::{Answer, As, Placed, Stock, System, until};
use serde_json::{Value, json};

/// I4 of the faults: all is decided 120 s after the last of them.
const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// Pence, in the provider's own books.
const GIVEN_BACK: &str = "select coalesce(sum(refunded_minor), 0)::bigint from charge";
const REFUNDS: &str = "select count(*) from provider_operation where kind = 'refund' and status = 'succeeded'";

/// A completed order that has left: three cups at 3.33 and a pot at 10.01, for 20.00 in all.
async fn shipped(system: &System) -> Placed {
    let placed = system.api.place_order(&[("CUP", 3), ("POT", 1)]).await.expect("placed");
    assert_eq!(system.api.wait_until_ended(&placed.checkout, DECIDED_WITHIN).await, "completed");
    until("the order has left", DECIDED_WITHIN, async || {
        (read(system, &placed).await.text_at("/fulfillment_status") == "shipped").then_some(())
    })
    .await;
    placed
}

/// A system whose carrier is quick, with the two products on sale.
async fn system_with(settings: &[(&str, &str)]) -> System {
    let mut all = vec![("MAKEGOOD_SANDBOX_SHIP_AFTER", "0.1")];
    all.extend(settings);
    let system = System::start_with(&all).await;
    system.api.sell("CUP", "3.33", 100).await.expect("on sale");
    system.api.sell("POT", "10.01", 100).await.expect("on sale");
    system
}

async fn read(system: &System, placed: &Placed) -> Answer {
    system.api.get(&format!("/v1/orders/{}", placed.order), As::Shop).await.expect("answers")
}

fn units(lines: &[(&str, i64)]) -> Value {
    let lines: Vec<Value> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    json!({"lines": lines, "reason": "too small"})
}

fn goods(lines: &[(&str, i64, bool)]) -> Value {
    let lines =
        lines.iter().map(|(sku, quantity, restock)| json!({"sku": sku, "quantity": quantity, "restock": restock}));
    json!({"lines": lines.collect::<Vec<_>>()})
}

async fn announce(system: &System, placed: &Placed, token: &str, lines: &[(&str, i64)]) -> Answer {
    system.api.insist(&format!("/v1/orders/{}/returns", placed.order), As::Shop, token, &units(lines)).await
}

/// A return that was taken; its id.
async fn announced(system: &System, placed: &Placed, token: &str, lines: &[(&str, i64)]) -> String {
    let answer = announce(system, placed, token, lines).await;
    assert_eq!(answer.status.as_u16(), 202, "{answer:?}");
    answer.text_at("/id").to_owned()
}

async fn receive(system: &System, id: &str, token: &str, lines: &[(&str, i64, bool)]) -> Answer {
    system.api.insist(&format!("/v1/returns/{id}/receive"), As::Shop, token, &goods(lines)).await
}

async fn call_off(system: &System, id: &str, token: &str) -> Answer {
    system.api.insist(&format!("/v1/returns/{id}/cancel"), As::Shop, token, &json!({})).await
}

/// The return once its saga has ended, in this status.
async fn ended(system: &System, id: &str, status: &str) -> Answer {
    let path = format!("/v1/returns/{id}");
    until(&format!("the return is {status}"), DECIDED_WITHIN, async || {
        let answer = system.api.get(&path, As::Shop).await.ok()?;
        let saga = system.api.get(&format!("/v1/admin/sagas/{id}"), As::Operator).await.ok()?;
        let is_over = matches!(saga.body["state"].as_str(), Some("completed" | "compensated"));
        (answer.status.is_success() && answer.text_at("/status") == status && is_over).then_some(answer)
    })
    .await
}

/// The kind of problem that it was refused with.
fn refused(answer: &Answer) -> String {
    assert_eq!(answer.status.as_u16(), 409, "{answer:?}");
    answer.text_at("/type").rsplit('/').next().expect("a kind").to_owned()
}

#[tokio::test]
async fn an_order_comes_back_in_parts_until_all_of_it_is_back_to_the_penny() {
    let system = system_with(&[]).await;
    let placed = shipped(&system).await;
    assert_eq!(system.stock("CUP").await, Stock { on_hand: 97, bound: 0 });

    // Two cups are announced and one comes: the other one can be announced again.
    let first = announced(&system, &placed, "first", &[("CUP", 2)]).await;
    let received = receive(&system, &first, "first-came", &[("CUP", 1, true)]).await;
    assert_eq!((received.status.as_u16(), received.text_at("/refund/amount")), (202, "3.33"));
    assert_eq!(ended(&system, &first, "completed").await.text_at("/refund/amount"), "3.33");
    assert_eq!(read(&system, &placed).await.text_at("/return_status"), "partially_returned");
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 333);
    assert_eq!(system.stock("CUP").await, Stock { on_hand: 98, bound: 0 });
    system.verify().await;

    // The same again with the same tokens: the same answers. Others find it decided.
    assert_eq!(announce(&system, &placed, "first", &[("CUP", 2)]).await.text_at("/id"), first);
    assert_eq!(receive(&system, &first, "first-came", &[("CUP", 1, true)]).await.text, received.text);
    assert_eq!(refused(&receive(&system, &first, "came-twice", &[("CUP", 1, true)]).await), "return-not-open");
    assert_eq!(refused(&call_off(&system, &first, "too-late").await), "return-not-open");

    // One of the two that come is broken: it is refunded and not sold again.
    let second = announced(&system, &placed, "second", &[("CUP", 2)]).await;
    assert_eq!(refused(&announce(&system, &placed, "too-many", &[("CUP", 1)]).await), "return-exceeds-order");
    receive(&system, &second, "second-came", &[("CUP", 1, true), ("CUP", 1, false)]).await;
    ended(&system, &second, "completed").await;
    assert_eq!(system.stock("CUP").await, Stock { on_hand: 99, bound: 0 });

    let third = announced(&system, &placed, "third", &[("POT", 1)]).await;
    receive(&system, &third, "third-came", &[("POT", 1, true)]).await;
    ended(&system, &third, "completed").await;
    let order = read(&system, &placed).await;
    assert_eq!((order.text_at("/status"), order.text_at("/return_status")), ("completed", "returned"));
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 2_000, "all that was paid, and not a penny more");
    assert_eq!(system.count("sandbox", REFUNDS).await, 3);
    assert_eq!(system.stock("POT").await, Stock { on_hand: 100, bound: 0 });
    let list = system.api.get(&format!("/v1/orders/{}/returns", placed.order), As::Shop).await.expect("answers");
    assert_eq!(list.body["data"].as_array().map(Vec::len), Some(3));
    let path = format!("/v1/orders/{}/cancel", placed.order);
    assert_eq!(refused(&system.api.insist(&path, As::Shop, "called-off", &json!({})).await), "order-shipped");
    system.finish().await;
}

#[tokio::test]
async fn of_many_at_once_each_unit_comes_back_once() {
    let system = system_with(&[]).await;
    let placed = shipped(&system).await;
    let tokens: Vec<String> = (0..10).map(|number| format!("at-once-{number}")).collect();
    let answers = join_all(tokens.iter().map(|token| announce(&system, &placed, token, &[("POT", 1)]))).await;
    let taken: Vec<&Answer> = answers.iter().filter(|answer| answer.status.as_u16() == 202).collect();
    assert_eq!(taken.len(), 1, "one pot was sold: {answers:?}");
    let id = taken[0].text_at("/id");

    // Ten people say at once that it came, each with a token of their own.
    let tokens: Vec<String> = (0..10).map(|number| format!("came-{number}")).collect();
    let came = join_all(tokens.iter().map(|token| receive(&system, id, token, &[("POT", 1, true)]))).await;
    assert_eq!(came.iter().filter(|answer| answer.status.as_u16() == 202).count(), 1, "{came:?}");
    ended(&system, id, "completed").await;
    assert_eq!((system.count("sandbox", GIVEN_BACK).await, system.count("sandbox", REFUNDS).await), (1_001, 1));
    assert_eq!(system.stock("POT").await, Stock { on_hand: 100, bound: 0 });
    system.finish().await;
}

#[tokio::test]
async fn of_goods_and_whoever_calls_them_off_at_once_one_wins() {
    let system = system_with(&[]).await;
    let placed = shipped(&system).await;
    let mut received_pence = 0;
    for round in 0..3 {
        let id = announced(&system, &placed, &format!("announced-{round}"), &[("CUP", 1)]).await;
        let (came_token, off_token) = (format!("came-{round}"), format!("off-{round}"));
        let (came, off) =
            tokio::join!(receive(&system, &id, &came_token, &[("CUP", 1, true)]), call_off(&system, &id, &off_token));
        if came.status.as_u16() == 202 {
            assert_eq!(refused(&off), "return-not-open");
            ended(&system, &id, "completed").await;
            received_pence += 333;
        } else {
            assert_eq!((refused(&came).as_str(), off.status.as_u16()), ("return-not-open", 200));
            let cancelled = ended(&system, &id, "cancelled").await;
            assert_eq!(cancelled.text_at("/failure_code"), "return_cancelled");
        }
        assert_eq!(system.count("sandbox", GIVEN_BACK).await, received_pence);
    }
    system.finish().await;
}

#[tokio::test]
async fn goods_that_do_not_come_in_time_are_waited_for_no_longer() {
    let system = system_with(&[("MAKEGOOD_RETURN_RECEIPT_WITHIN", "5")]).await;
    let placed = shipped(&system).await;
    let id = announced(&system, &placed, "announced", &[("CUP", 3)]).await;
    assert_eq!(ended(&system, &id, "expired").await.text_at("/failure_code"), "return_expired");
    assert_eq!(refused(&receive(&system, &id, "late", &[("CUP", 3, true)]).await), "return-not-open");
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 0);
    assert_eq!(read(&system, &placed).await.text_at("/return_status"), "none");
    // They come after all: they are announced once more, and come at once.
    let again = announced(&system, &placed, "again", &[("CUP", 3)]).await;
    let received = receive(&system, &again, "came", &[("CUP", 3, true)]).await;
    assert_eq!(received.status.as_u16(), 202, "{received:?}");
    ended(&system, &again, "completed").await;
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 999);
    system.finish().await;
}

/// An operator has given a part back for a scratch, and then all of the goods come: what is left goes back, in two returns of which the
/// second finds nothing left. The books agree with that.
#[tokio::test]
async fn a_return_gives_back_what_an_operator_has_left() {
    let system = system_with(&[]).await;
    let placed = shipped(&system).await;
    let payment = placed.checkout.replace("chk_", "pi_");
    let part = json!({"amount": {"amount": "12.00", "currency": "GBP"}, "reason": "a scratch"});
    let path = format!("/v1/admin/payment_intents/{payment}/refunds");
    let refunded = system.api.insist(&path, As::Shop, "scratch", &part).await;
    assert_eq!(refunded.status.as_u16(), 202, "{refunded:?}");

    for (token, sku, quantity) in [("pot", "POT", 1), ("cups", "CUP", 3)] {
        let id = announced(&system, &placed, token, &[(sku, quantity)]).await;
        receive(&system, &id, &format!("{token}-came"), &[(sku, quantity, true)]).await;
        ended(&system, &id, "completed").await;
        assert_eq!(system.count("sandbox", GIVEN_BACK).await, 2_000, "the 8.00 that were left went back with the pot");
    }
    assert_eq!(read(&system, &placed).await.text_at("/return_status"), "returned");
    system.finish().await;
}
