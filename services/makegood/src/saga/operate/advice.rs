//! What can be done about a saga now, each as the exact command to copy.
//!
//! An offer and no decision: whether it is possible (the pivot, the step's own state) is the orchestrator's to say.

use super::answers::{Detail, Step};

/// One thing to do, and when it is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) when: String,
    pub(super) command: Option<String>,
}

impl Advice {
    fn just(when: impl Into<String>) -> Self {
        Self { when: when.into(), command: None }
    }

    fn run(when: impl Into<String>, command: String) -> Self {
        Self { when: when.into(), command: Some(command) }
    }
}

/// The offers for where the saga stands, likeliest first.
pub(super) fn advice(saga: &Detail) -> Vec<Advice> {
    let id = &saga.saga.id;
    let step = saga.steps.iter().find(|step| Some(&step.step) == saga.saga.step.as_ref());
    let why = saga.saga.reason.as_ref().map_or("", |reason| reason.detail.as_str());
    let mut offers = match saga.saga.state.as_str() {
        "completed" => return vec![Advice::just("Nothing: it has ended, and all of it was done.")],
        "compensated" => return vec![Advice::just("Nothing: it has ended, and all that it did was made good.")],
        "parked" if step.is_some_and(|step| step.status == "idle") => {
            return vec![Advice::run(
                "It cannot begin: it is let go, and nothing of it was done",
                command("cancel", id, ""),
            )];
        }
        "parked" => parked(id, step, why),
        "paused" if saga.called_off.is_some() => {
            return vec![Advice::run(
                "What it did should be made good now: it is called off",
                command("resume", id, ""),
            )];
        }
        "paused" => vec![Advice::run("It should go on where it was", command("resume", id, ""))],
        "waiting" => waiting(id, &saga.saga.definition, step),
        "compensating" => asked(id, step, "It is being made good, and asks again by itself"),
        "running" | "finishing" => asked(id, step, "It is under way, and asks again by itself"),
        _ => vec![Advice::just("This makegood does not know the state: its release is older than the deployment's.")],
    };
    if let Some(reason) = &saga.called_off {
        offers.insert(
            0,
            Advice::just(format!("It is called off ({}), and turns around once this is decided.", reason.told())),
        );
        // Going on without the step leads back as well, and not on.
        offers
            .retain(|offer| !offer.command.as_deref().is_some_and(|command| command.starts_with("makegood saga skip")));
    }
    let can_turn = saga.saga.state != "compensating" && !saga.is_at_its_end() && saga.called_off.is_none();
    if can_turn && !saga.has_reached_its_pivot() && !saga.is_on_its_way_back() {
        offers.push(Advice::run("It should not go on: what it did is made good", command("compensate", id, "")));
    }
    offers
}

fn command(action: &str, id: &str, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!(" {more}") };
    format!("makegood saga {action} {id}{more} --reason \"…\"")
}

fn parked(id: &str, step: Option<&Step>, why: &str) -> Vec<Advice> {
    let Some(step) = step else { return vec![Advice::run("The cause is mended", command("retry", id, ""))] };
    let on_step = format!("--step {}", step.step);
    if is_being_undone(step) {
        return vec![
            Advice::run(
                format!("The cause is mended: {} can undo it now", participant(step)),
                command("retry", id, ""),
            ),
            Advice::run(
                format!("You undid {} by hand (money given back, goods put back)", step.step),
                command("resolve", id, &on_step),
            ),
        ];
    }
    if step.command.is_none() {
        return vec![
            Advice::run(
                "You know what it waits for",
                command("signal", id, &format!("{} --payload '{{…}}'", signal_of(step))),
            ),
            Advice::run(
                "It should wait for as long again (not possible where its deadline is a point in time)",
                command("retry", id, ""),
            ),
            Advice::run(
                format!("It can do without {}", step.step),
                command("skip", id, &format!("{on_step} --step-output '{{…}}'")),
            ),
        ];
    }
    let again = Advice::run(when_to_ask_again(step, why), command("retry", id, ""));
    let by_hand = Advice::run(
        format!("You did {} by hand; give what it would have answered, if later steps read it", step.step),
        command("resolve", id, &format!("{on_step} --step-output '{{…}}'")),
    );
    // What follows relies on the pivot.
    let without = (!step.pivot).then(|| {
        Advice::run(
            format!("It can do without {}", step.step),
            command("skip", id, &format!("{on_step} --step-output '{{…}}'")),
        )
    });
    let (first, last) = if is_on_record(why) { (None, Some(again)) } else { (Some(again), None) };
    first.into_iter().chain([by_hand]).chain(without).chain(last).collect()
}

/// A participant keeps what it refused, and what it answered, and says the same again. The engine's words for these, and the cashier's for
/// what the provider will not do.
fn is_on_record(why: &str) -> bool {
    ["the provider declined", "does not match its schema", "the context would have"]
        .iter()
        .any(|words| why.contains(words))
        || why.starts_with("refused ")
}

fn when_to_ask_again(step: &Step, why: &str) -> String {
    let service = participant(step);
    if is_on_record(why) {
        format!("Only once {service} has taken back what it has on record: until then it answers the same again")
    } else {
        format!("The cause is mended: {service} can do it now")
    }
}

/// Steps of the shipped definitions that wait for what has a request of its own, which writes down more than the signal says.
const ASKED_FOR_BY: [(&str, &str, &str); 2] = [
    ("checkout", "confirmation", "POST /v1/checkouts/chk_…/confirm with {\"payment_method\": \"pm_…\"}"),
    ("return-order", "goods_received", "POST /v1/returns/ret_…/receive with what has come"),
];

fn waiting(id: &str, definition: &str, step: Option<&Step>) -> Vec<Advice> {
    let has_request = |step: &Step| ASKED_FOR_BY.iter().find(|(of, name, _)| *of == definition && *name == step.step);
    match step {
        Some(step) if let Some((.., request)) = has_request(step) => vec![
            Advice::just("Nothing: it waits for somebody outside, and decides by itself at its deadline."),
            Advice::just(format!("You speak for whoever it waits for: {request}, and no signal.")),
        ],
        Some(step) if step.command.is_none() => vec![
            Advice::just("Nothing: it waits for somebody outside, and decides by itself at its deadline."),
            Advice::run(
                "You speak for whoever it waits for",
                command("signal", id, &format!("{} --payload '{{…}}'", signal_of(step))),
            ),
        ],
        Some(step) => vec![
            Advice::just(format!(
                "Nothing: {} has accepted {} and waits for somebody outside; it is asked again every now and then.",
                participant(step),
                step.step
            )),
            Advice::run("It was decided outside, and should be asked for now", command("retry", id, "")),
        ],
        None => Vec::new(),
    }
}

fn asked(id: &str, step: Option<&Step>, nothing: &str) -> Vec<Advice> {
    let who = step.map_or_else(|| "its participant".to_owned(), participant);
    vec![
        Advice::just(format!(
            "Nothing: {nothing}. If it stays here, look at {who}: does it run, what does its log say? What it answers may be \
             unreadable too: makegood dead-letters ls"
        )),
        Advice::run("It should be asked again at once".to_owned(), command("retry", id, "")),
    ]
}

/// The signal that an await waits for. A deployment that does not tell it is older than this build; most steps are called like their signal.
fn signal_of(step: &Step) -> &str {
    step.signal.as_deref().unwrap_or(&step.step)
}

fn is_being_undone(step: &Step) -> bool {
    matches!(step.status.as_str(), "undoing" | "undo_retrying")
}

/// Who does the step: the first word of its command.
pub(super) fn participant(step: &Step) -> String {
    let command = if is_being_undone(step) { step.compensate.as_ref() } else { None }.or(step.command.as_ref());
    let service = command.and_then(|command| command.split('.').next());
    service.map_or_else(|| "whoever sends its signal".to_owned(), |service| format!("the service {service}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn saga(state: &str, step: Option<&str>, steps: Value) -> Detail {
        serde_json::from_value(json!({
            "id": "sga_1", "definition": "trip", "version": 1, "reference": "r", "customer": null, "state": state, "step": step,
            "reason": null, "revision": 3, "age_seconds": 9, "created_at": "2026-11-25T01:00:00Z",
            "updated_at": "2026-11-25T01:00:00Z", "finished_at": null, "traceparent": null, "steps": steps, "timeline": [],
        }))
        .expect("a saga")
    }

    fn commands(saga: &Detail) -> Vec<String> {
        advice(saga).into_iter().filter_map(|advice| advice.command).collect()
    }

    #[test]
    fn a_parked_step_can_be_retried_settled_skipped_or_undone() {
        let step = json!([{"step": "pay", "command": "bank.pay", "compensate": "bank.refund", "status": "sent", "attempts": 100}, {"step": "go", "command": "x.go", "pivot": true, "status": "idle", "attempts": 0}]);
        assert_eq!(
            commands(&saga("parked", Some("pay"), step)),
            [
                "makegood saga retry sga_1 --reason \"…\"",
                "makegood saga resolve sga_1 --step pay --step-output '{…}' --reason \"…\"",
                "makegood saga skip sga_1 --step pay --step-output '{…}' --reason \"…\"",
                "makegood saga compensate sga_1 --reason \"…\"",
            ]
        );
    }

    #[test]
    fn a_pivot_is_not_skipped_and_what_has_a_request_is_not_signalled() {
        let pivot = json!([{"step": "pay", "command": "bank.pay", "pivot": true, "status": "sent", "attempts": 100}]);
        let commands_of = commands(&saga("parked", Some("pay"), pivot));
        assert!(commands_of.iter().all(|command| !command.contains("skip")), "{commands_of:?}");
        let step = json!([{"step": "confirmation", "command": null, "status": "waiting", "attempts": 0}]);
        let mut checkout = saga("waiting", Some("confirmation"), step);
        checkout.saga.definition = "checkout".to_owned();
        assert!(advice(&checkout)[1].when.contains("POST /v1/checkouts/chk_…/confirm"));
        assert!(commands(&checkout).iter().all(|command| !command.contains("signal")));
    }

    #[test]
    fn what_the_participant_has_on_record_is_asked_for_last() {
        let step = json!([{"step": "pack", "command": "depot.pack", "status": "refused", "attempts": 1}]);
        let mut saga = saga("parked", Some("pack"), step);
        saga.saga.reason = Some(
            serde_json::from_value(json!({"detail": "refused where there is no way back: closed"})).expect("a reason"),
        );
        assert!(commands(&saga)[0].contains("saga resolve"), "{:?}", commands(&saga));
        saga.saga.reason = Some(serde_json::from_value(json!({"detail": "4 attempts failed"})).expect("a reason"));
        assert!(commands(&saga)[0].contains("saga retry"), "{:?}", commands(&saga));
    }

    #[test]
    fn a_parked_undo_is_not_turned_around() {
        let step = json!([{"step": "pay", "command": "bank.pay", "compensate": "till.refund", "status": "undoing", "attempts": 100}]);
        let saga = saga("parked", Some("pay"), step);
        assert!(commands(&saga).iter().all(|command| !command.contains("compensate")), "{:?}", commands(&saga));
        assert!(advice(&saga)[0].when.contains("the service till"));
    }

    #[test]
    fn a_saga_that_is_called_off_or_cannot_begin_has_one_way() {
        let step = json!([{"step": "pay", "command": "bank.pay", "status": "done", "attempts": 1}, {"step": "go", "command": "x.go", "status": "idle", "attempts": 0}]);
        let mut paused = saga("paused", Some("go"), step.clone());
        paused.called_off =
            serde_json::from_value(json!({"code": "cancelled", "detail": "by hand"})).expect("a reason");
        assert_eq!(commands(&paused), ["makegood saga resume sga_1 --reason \"…\""]);
        assert!(advice(&paused)[0].when.contains("made good"));
        assert_eq!(commands(&saga("parked", Some("go"), step)), ["makegood saga cancel sga_1 --reason \"…\""]);
        let ending = json!([{"step": "pay", "command": "bank.pay", "status": "done", "attempts": 1}, {"step": "finally", "command": "x.end", "status": "sent", "attempts": 9}]);
        let commands_of = commands(&saga("parked", Some("finally"), ending));
        assert!(commands_of.iter().all(|command| !command.contains("compensate")), "{commands_of:?}");
    }

    #[test]
    fn from_the_pivot_on_nothing_is_turned_around() {
        let step = json!([{"step": "pay", "command": "bank.pay", "pivot": true, "status": "sent", "attempts": 2}]);
        let saga = saga("running", Some("pay"), step);
        assert_eq!(commands(&saga), ["makegood saga retry sga_1 --reason \"…\""]);
    }

    #[test]
    fn who_waits_for_a_signal_is_told_how_to_send_it_and_who_has_ended_is_left_alone() {
        let step = json!([{"step": "go", "command": null, "compensate": null, "status": "waiting", "attempts": 0}]);
        let waiting = saga("waiting", Some("go"), step);
        assert_eq!(commands(&waiting)[0], "makegood saga signal sga_1 go --payload '{…}' --reason \"…\"");
        let step = json!([{"step": "go", "command": null, "signal": "green", "status": "waiting", "attempts": 0}]);
        assert!(commands(&saga("waiting", Some("go"), step))[0].starts_with("makegood saga signal sga_1 green "));
        assert!(commands(&saga("completed", None, json!([]))).is_empty());
    }
}
