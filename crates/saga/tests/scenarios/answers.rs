//! Answers that come twice, late, or to what nobody has asked: none of them moves a saga where it should not be.

use super::*;

#[test]
fn every_reply_may_come_twice_and_changes_nothing() {
    let definition = checkout();
    let mut once = Play::new(&definition);
    once.run(done);
    let mut twice = Play::new(&definition);
    while !twice.outbox.is_empty() {
        let send = twice.outbox.remove(0);
        let outcome = done(&send).expect("answered");
        assert_eq!(twice.reply(&send.step, send.direction, outcome.clone()), Verdict::Moved);
        assert_eq!(twice.reply(&send.step, send.direction, outcome), Verdict::Ignored);
    }
    assert_eq!(once.sent, twice.sent);
}

#[test]
fn a_second_answer_with_other_contents_is_a_conflict_and_changes_nothing() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    play.reply("lock_cart", Direction::Do, Outcome::Done { output: json!({"total": 1}) });
    let before = play.state.clone();
    assert!(matches!(
        play.reply("lock_cart", Direction::Do, Outcome::Done { output: json!({"total": 2}) }),
        Verdict::Conflict(_)
    ));
    assert!(matches!(play.reply("lock_cart", Direction::Do, Outcome::refused("no", "")), Verdict::Conflict(_)));
    assert_eq!(play.state, before);
}

#[test]
fn an_answer_to_what_was_never_asked_is_unexpected() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    let before = play.state.clone();
    for (step, direction) in
        [("capture_payment", Direction::Do), ("lock_cart", Direction::Undo), ("no_such_step", Direction::Do)]
    {
        assert!(matches!(play.reply(step, direction, Outcome::done()), Verdict::Unexpected(_)), "{step}");
    }
    assert_eq!(play.state, before);
}

#[test]
fn a_done_that_comes_after_the_step_was_given_up_is_undone_all_the_same() {
    let definition = checkout();
    let mut play = Play::new(&definition);
    let silent = |send: &Send| if send.step == "authorize_payment" { None } else { done(send) };
    play.run(silent);
    while play.state.condition() == Condition::Running && play.wait() {
        play.run(silent);
    }
    assert_eq!(play.reply("authorize_payment", Direction::Do, Outcome::done()), Verdict::Ignored);
    play.reply("authorize_payment", Direction::Undo, Outcome::done());
    play.run(done);
    assert_eq!(play.state.condition(), Condition::Compensated);
    assert!(play.commands(Direction::Undo).contains(&"authorize_payment"));
}
