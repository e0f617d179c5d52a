//! Whatever dies while goods come back: each return ends, once, and nobody repairs anything by hand.

use makegood_contracts::subject;
use makegood_tests::IMPATIENT;

use super::*;

#[tokio::test]
async fn a_return_ends_though_any_role_of_it_is_killed_on_its_way() {
    let mut system = system_with(&IMPATIENT).await;
    let roles = ["orchestrator", "order", "payment", "inventory", "sandbox"];
    for (number, role) in roles.into_iter().enumerate() {
        let placed = shipped(&system).await;
        let id = announced(&system, &placed, &format!("announced-{role}"), &[("CUP", 2), ("POT", 1)]).await;
        // It is said that the goods came, and the role dies while that is on its way.
        let api = system.api.clone();
        let path = format!("/v1/returns/{id}/receive");
        let (token, body) = (format!("came-{role}"), goods(&[("CUP", 1, true), ("POT", 1, false)]));
        let saying = api.insist(&path, As::Shop, &token, &body);
        let (said, ()) = tokio::join!(saying, async {
            system.kill9(role).await;
            system.restart(role).await;
        });
        assert_eq!(said.status.as_u16(), 202, "{role}: {said:?}");
        ended(&system, &id, "completed").await;
        let times = i64::try_from(number).expect("a count") + 1;
        assert_eq!(system.count("sandbox", GIVEN_BACK).await, times * 1_334, "{role}");
        assert_eq!(system.count("sandbox", REFUNDS).await, times, "{role}");
        assert_eq!(system.stock("CUP").await, Stock { on_hand: 100 - 2 * times, bound: 0 }, "{role}");
        assert_eq!(system.stock("POT").await, Stock { on_hand: 100 - times, bound: 0 }, "{role}");
    }
    system.finish().await;
}

/// Payment stands still while the goods go back into stock, and dies with the refund in its hands.
#[tokio::test]
async fn a_return_whose_provider_is_silent_gives_the_money_back_once() {
    let mut system = system_with(&IMPATIENT).await;
    let placed = shipped(&system).await;
    let id = announced(&system, &placed, "announced", &[("CUP", 3)]).await;
    system.pause("sandbox");
    receive(&system, &id, "came", &[("CUP", 3, true)]).await;
    until("the goods are back", DECIDED_WITHIN, async || (system.stock("CUP").await.on_hand == 100).then_some(()))
        .await;
    until("the refund is on its way", DECIDED_WITHIN, async || {
        (system.count("payment", "select count(*) from payment_operation where kind = 'refund'").await == 1)
            .then_some(())
    })
    .await;
    system.kill9("payment").await;
    system.resume("sandbox");
    system.restart("payment").await;
    ended(&system, &id, "completed").await;
    assert_eq!((system.count("sandbox", GIVEN_BACK).await, system.count("sandbox", REFUNDS).await), (999, 1));
    system.finish().await;
}

#[tokio::test]
async fn what_is_told_to_a_return_is_told_again_though_all_of_jetstream_is_lost() {
    let mut system = system_with(&IMPATIENT).await;
    let placed = shipped(&system).await;
    let [comes, is_called_off] = [
        announced(&system, &placed, "comes", &[("CUP", 1)]).await,
        announced(&system, &placed, "not", &[("POT", 1)]).await,
    ];
    system.stop("orchestrator").await;
    receive(&system, &comes, "came", &[("CUP", 1, true)]).await;
    assert_eq!(call_off(&system, &is_called_off, "off").await.status.as_u16(), 200);
    let jetstream = system.jetstream().await;
    until("both have been told once", DECIDED_WITHIN, async || {
        let sent = jetstream.messages(subject::COMMAND_STREAM).await;
        let is_told = |verb: &str| sent.iter().any(|message| message.subject.ends_with(verb));
        (is_told("signal_saga.v1") && is_told("cancel_saga.v1")).then_some(())
    })
    .await;
    system.wipe_nats().await;
    system.restart("orchestrator").await;
    ended(&system, &comes, "completed").await;
    ended(&system, &is_called_off, "cancelled").await;
    assert_eq!(system.count("sandbox", GIVEN_BACK).await, 333);
    system.finish().await;
}
