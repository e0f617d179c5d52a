//! A saga's timeline in words, for somebody who has never seen one.

use std::collections::HashSet;

use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::definition::FINALLY;
use serde_json::Value;

use super::{
    answers::{ByHand, Entry, Event, Sent},
    terminal::{Styled, columns},
};

/// A stretch of repetitions that is longer than this is told by its ends.
const SHOWN_IN_FULL: usize = 6;
/// Of a long stretch, this many at each end.
const SHOWN_AT_ENDS: usize = 2;
const TIME_OF_DAY: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[hour]:[minute]:[second].[subsecond digits:3]");
const DAY: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year]-[month]-[day]");

/// How much is told.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Detail {
    /// Each repetition, and not only the first and the last.
    pub(super) all: bool,
    /// What was sent and what was answered, in full.
    pub(super) payloads: bool,
}

/// The whole timeline, day by day.
pub(super) fn timeline(entries: &[Entry], detail: Detail) -> anyhow::Result<String> {
    let contradictions = contradictions(entries);
    let mut rows = Vec::new();
    let mut day = None;
    for part in parts(entries, detail.all) {
        match part {
            Part::Entry(entry) => {
                let date = entry.at.to_offset(time::UtcOffset::UTC).date();
                if day.replace(date) != Some(date) {
                    rows.push(vec![Styled::faint(date.format(DAY)?)]);
                }
                rows.extend(entry_rows(entry, detail)?);
                if contradictions.contains(&entry.revision) {
                    let told = "  the step was done before: this contradicts it, and changes nothing";
                    rows.push(vec![Styled::plain(""), Styled::plain(""), Styled::faint(told)]);
                }
            }
            Part::Left(count) => {
                let left = format!("… {count} more like these (--all shows them)");
                rows.push(vec![Styled::plain(""), Styled::plain(""), Styled::faint(left)]);
            }
        }
    }
    Ok(columns(&rows))
}

/// The revisions of answers that came to a step which was done already: a repetition is not in the log, so these say something else.
fn contradictions(entries: &[Entry]) -> HashSet<i64> {
    let mut done = HashSet::new();
    let mut contradictions = HashSet::new();
    for entry in entries {
        if let Ok(Event::Replied { step, direction: Direction::Do, outcome }) = entry.event() {
            if done.contains(&step) {
                contradictions.insert(entry.revision);
            } else if matches!(outcome, Outcome::Done { .. }) {
                done.insert(step);
            }
        }
    }
    contradictions
}

/// One entry: when, which revision it made, what happened, and below it what was sent because of it.
pub(super) fn entry_rows(entry: &Entry, detail: Detail) -> anyhow::Result<Vec<Vec<Styled>>> {
    let below = |text| vec![Styled::plain(""), Styled::plain(""), text];
    let at = entry.at.to_offset(time::UtcOffset::UTC).time().format(TIME_OF_DAY)?;
    let mut rows =
        vec![vec![Styled::faint(at), Styled::faint(format!("#{}", entry.revision)), Styled::plain(happened(entry))]];
    if detail.payloads
        && let Some(said) = said(entry)
    {
        rows.push(below(Styled::faint(format!("  {said}"))));
    }
    for sent in &entry.sent {
        rows.push(below(Styled::plain(format!("  → {}", asked(sent)))));
        if detail.payloads {
            rows.push(below(Styled::faint(format!("    key {}, payload {}", sent.key, sent.payload))));
        }
    }
    Ok(rows)
}

/// What happened, in a sentence.
pub(super) fn happened(entry: &Entry) -> String {
    let event = match entry.event() {
        Ok(event) => event,
        Err(unknown) => return unknown.to_string(),
    };
    match event {
        Event::Started => "the saga began".to_owned(),
        Event::Replied { step, direction, outcome } => replied(&step, direction, &outcome),
        Event::Signalled { signal, by: None, .. } => format!("the signal {signal} came"),
        Event::Signalled { signal, by: Some(by), .. } => by_hand(&format!("gave the signal {signal}"), &by),
        Event::Cancelled { code, detail } => format!("it was called off: {code}: {detail}"),
        Event::Woke => woke(&entry.sent).to_owned(),
        Event::Recovered => "the orchestrator started anew or reconnected: what was out is sent again".to_owned(),
        Event::Retried(by) => by_hand("had it sent again at once", &by),
        Event::CompensationForced(by) => by_hand("turned it around", &by),
        Event::Paused(by) => by_hand("paused it", &by),
        Event::Resumed(by) => by_hand("let it go on", &by),
        Event::CancelledByOperator(by) => by_hand("called it off", &by),
        Event::Resolved { step, by } => by_hand(&format!("settled {step} by hand"), &by),
        Event::StepSkipped { step, by } => by_hand(&format!("had it go on without {step}"), &by),
        Event::VersionMoved { to, by } => by_hand(&format!("moved it to version {to} of its definition"), &by),
    }
}

/// What a time that came has led to, by what was sent: a first sending goes on or turns around, a later one asks again.
fn woke(sent: &[Sent]) -> &'static str {
    match sent {
        [] => "a deadline passed",
        [first, ..] if sent.iter().all(|sent| sent.attempt == 1) => match first.direction {
            Direction::Do if first.step == FINALLY => "a deadline passed: it ends",
            Direction::Do => "a deadline passed: it goes on",
            Direction::Undo => "a deadline passed: it turns around",
        },
        [_, ..] => "no answer in time, or the pause after a failure is over: asked again",
    }
}

fn by_hand(did: &str, ByHand { actor, reason }: &ByHand) -> String {
    format!("operator {actor} {did}: {reason}")
}

fn replied(step: &str, direction: Direction, outcome: &Outcome) -> String {
    let undoing = match direction {
        Direction::Do => "",
        Direction::Undo => "undoing ",
    };
    match (outcome, direction) {
        (Outcome::Done { .. }, Direction::Do) => format!("{step} is done"),
        (Outcome::Done { .. }, Direction::Undo) => format!("{step} is undone"),
        (Outcome::Refused { code, detail }, _) => format!("{undoing}{step} was refused: {code}: {detail}"),
        (Outcome::Pending { reason, .. }, _) => {
            format!("{undoing}{step} is pending, someone outside must act: {reason}")
        }
        (Outcome::Failed { detail, retryable: true }, _) => format!("{undoing}{step} failed: {detail}"),
        (Outcome::Failed { detail, retryable: false }, _) => {
            format!("{undoing}{step} failed, and asking again will not help: {detail}")
        }
    }
}

fn asked(Sent { step, direction, attempt, command, .. }: &Sent) -> String {
    let what = match direction {
        Direction::Do => step.clone(),
        Direction::Undo => format!("undo {step}"),
    };
    match attempt {
        1 => format!("{what}: {command}"),
        _ => format!("{what}: {command}, attempt {attempt}"),
    }
}

/// What came with an event.
fn said(entry: &Entry) -> Option<Value> {
    match entry.event().ok()? {
        Event::Replied { outcome: Outcome::Done { output }, .. } if !output.is_null() => Some(output),
        Event::Replied { outcome: Outcome::Pending { detail, .. }, .. } if !detail.is_null() => Some(detail),
        Event::Signalled { payload, .. } => Some(payload),
        Event::Replied { .. }
        | Event::Started
        | Event::Cancelled { .. }
        | Event::Woke
        | Event::Recovered
        | Event::Retried(_)
        | Event::CompensationForced(_)
        | Event::Paused(_)
        | Event::Resumed(_)
        | Event::CancelledByOperator(_)
        | Event::Resolved { .. }
        | Event::StepSkipped { .. }
        | Event::VersionMoved { .. } => None,
    }
}

#[derive(Debug, PartialEq)]
enum Part<E> {
    Entry(E),
    /// So many repetitions are left out.
    Left(usize),
}

/// The entries, with the middle of long repetitions left out.
fn parts(entries: &[Entry], all: bool) -> Vec<Part<&Entry>> {
    let mut parts = Vec::new();
    for stretch in
        entries.chunk_by(|one, next| matches!((repeats(one), repeats(next)), (Some(one), Some(next)) if one == next))
    {
        if all || stretch.len() <= SHOWN_IN_FULL {
            parts.extend(stretch.iter().map(Part::Entry));
        } else {
            parts.extend(stretch[..SHOWN_AT_ENDS].iter().map(Part::Entry));
            parts.push(Part::Left(stretch.len() - 2 * SHOWN_AT_ENDS));
            parts.extend(stretch[stretch.len() - SHOWN_AT_ENDS..].iter().map(Part::Entry));
        }
    }
    parts
}

/// The step, and which way, that an entry asks again or that failed again: many of these in a row are one story. A time that came tells its
/// step only by what was sent, which is nothing at the last of them.
fn repeats(entry: &Entry) -> Option<(String, Direction)> {
    match entry.event().ok()? {
        Event::Replied { step, direction, outcome: Outcome::Failed { .. } } => Some((step, direction)),
        Event::Woke | Event::Recovered => match entry.sent.as_slice() {
            [sent] => Some((sent.step.clone(), sent.direction)),
            [] | [_, ..] => None,
        },
        Event::Replied { .. }
        | Event::Started
        | Event::Signalled { .. }
        | Event::Cancelled { .. }
        | Event::Retried(_)
        | Event::CompensationForced(_)
        | Event::Paused(_)
        | Event::Resumed(_)
        | Event::CancelledByOperator(_)
        | Event::Resolved { .. }
        | Event::StepSkipped { .. }
        | Event::VersionMoved { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::terminal::uncoloured, *};

    fn entry(revision: i64, event: Value, sent: Value) -> Entry {
        let at = format!("2026-11-25T01:02:03.{revision:03}Z");
        serde_json::from_value(json!({"revision": revision, "at": at, "event": event, "sent": sent})).expect("an entry")
    }

    fn sent(step: &str, direction: &str, attempt: u32) -> Value {
        json!([{"step": step, "direction": direction, "attempt": attempt, "command": format!("depot.{step}"), "key": format!("k:{step}:{direction}"), "payload": {"of": 1}}])
    }

    fn failed(revision: i64) -> Entry {
        let outcome = json!({"status": "failed", "detail": "the printer is on fire", "retryable": true});
        entry(
            revision,
            json!({"event": "replied", "step": "pack", "direction": "do", "attempt": 1, "outcome": outcome}),
            json!([]),
        )
    }

    #[test]
    fn a_timeline_is_a_story() {
        let output = json!({"status": "done", "output": {"box": 7}});
        let entries = [
            entry(1, json!({"event": "started"}), sent("pack", "do", 1)),
            failed(2),
            entry(3, json!({"event": "woke"}), sent("pack", "do", 2)),
            entry(
                4,
                json!({"event": "replied", "step": "pack", "direction": "do", "attempt": 2, "outcome": output}),
                sent("ship", "do", 1),
            ),
            entry(
                5,
                json!({"event": "compensation_forced", "actor": "ann", "reason": "the buyer called"}),
                sent("pack", "undo", 1),
            ),
            entry(6, json!({"event": "teleported", "to": "mars"}), json!([])),
        ];
        let told = timeline(&entries, Detail::default()).expect("it can be told");
        assert_eq!(
            uncoloured(&told),
            "\
2026-11-25
01:02:03.001  #1  the saga began
                    → pack: depot.pack
01:02:03.002  #2  pack failed: the printer is on fire
01:02:03.003  #3  no answer in time, or the pause after a failure is over: asked again
                    → pack: depot.pack, attempt 2
01:02:03.004  #4  pack is done
                    → ship: depot.ship
01:02:03.005  #5  operator ann turned it around: the buyer called
                    → undo pack: depot.pack
01:02:03.006  #6  {\"event\":\"teleported\",\"to\":\"mars\"}
"
        );
        let told = timeline(&entries[3..4], Detail { payloads: true, all: false }).expect("it can be told");
        assert!(told.contains("{\"box\":7}") && told.contains("key k:ship:do, payload {\"of\":1}"), "{told}");
    }

    #[test]
    fn a_time_that_came_is_told_by_what_it_led_to() {
        let woke = |sent| happened(&entry(2, json!({"event": "woke"}), sent));
        assert_eq!(woke(json!([])), "a deadline passed");
        assert_eq!(woke(sent("pack", "undo", 1)), "a deadline passed: it turns around");
        assert_eq!(woke(sent("ship", "do", 1)), "a deadline passed: it goes on");
        assert!(woke(sent("pack", "undo", 2)).ends_with("asked again"));
    }

    #[test]
    fn a_signal_by_hand_says_whose_hand() {
        let signalled = json!({"event": "signalled", "signal": "confirmation", "payload": {}});
        assert_eq!(happened(&entry(2, signalled.clone(), json!([]))), "the signal confirmation came");
        let mut by_hand = signalled;
        by_hand["by"] = json!({"actor": "ann", "reason": "the buyer called"});
        let told = happened(&entry(2, by_hand, json!([])));
        assert_eq!(told, "operator ann gave the signal confirmation: the buyer called");
    }

    #[test]
    fn an_answer_to_a_step_that_was_done_is_marked() {
        let replied = |revision, outcome| {
            let event =
                json!({"event": "replied", "step": "pack", "direction": "do", "attempt": 1, "outcome": outcome});
            entry(revision, event, json!([]))
        };
        let refused = json!({"status": "refused", "code": "no", "detail": "changed my mind"});
        let entries = [replied(1, json!({"status": "done", "output": 1})), replied(2, refused)];
        let told = timeline(&entries, Detail::default()).expect("it can be told");
        assert_eq!(told.matches("contradicts").count(), 1, "{told}");
        assert!(uncoloured(&told).trim_end().ends_with("changes nothing"), "{told}");
    }

    /// Where it turned around is the one line that nobody may miss.
    #[test]
    fn the_turning_around_stands_between_two_stretches() {
        let woke =
            |revision, direction, attempt| entry(revision, json!({"event": "woke"}), sent("pack", direction, attempt));
        let there = (2..=12).map(|attempt| woke(i64::from(attempt), "do", attempt));
        let back = (1..=12).map(|attempt| woke(i64::from(attempt) + 12, "undo", attempt));
        let told = timeline(&there.chain(back).collect::<Vec<_>>(), Detail::default()).expect("it can be told");
        assert!(told.contains("it turns around") && told.matches("more like these").count() == 2, "{told}");
    }

    #[test]
    fn of_a_hundred_failures_the_first_and_the_last_are_told() {
        let entries: Vec<Entry> = (1..=100).map(failed).collect();
        let told = timeline(&entries, Detail::default()).expect("it can be told");
        assert_eq!(told.matches("on fire").count(), 4, "{told}");
        assert!(told.contains("… 96 more like these"), "{told}");
        let all = timeline(&entries, Detail { all: true, payloads: false }).expect("it can be told");
        assert_eq!(all.matches("on fire").count(), 100);
    }
}
