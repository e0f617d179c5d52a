//! `makegood saga show`: one saga, told to somebody who has never seen one.

use std::fmt::Write as _;

use time::OffsetDateTime;

use super::{
    admin::{Access, Admin, read},
    advice::{advice, participant},
    age::age,
    answers::{self, Summary},
    find, story,
    terminal::{Styled, columns, print, print_json},
};
use crate::client::output::Output;

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood saga show ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f
  makegood saga show sga_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f --payloads
  makegood saga show chk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f -o json";

const SECONDS: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The saga: its id (sga_…), its checkout's, cancellation's or return's (chk_…, cnl_…, ret_…), or its order's (ord_…)
    saga: String,
    /// Tell each repetition, and not only the first and the last of many
    #[arg(long)]
    all: bool,
    /// Also what was sent and what was answered
    #[arg(long)]
    payloads: bool,
    /// How it is written: JSON is the API's answer, with everything
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let id = find::saga_id(&admin, &args.saga).await?;
    let answer = admin.saga(&id).await?.body;
    match args.output {
        Output::Json => print_json(&answer),
        Output::Table => {
            let detail = story::Detail { all: args.all, payloads: args.payloads };
            print(&told(&read(answer)?, detail)?)
        }
    }
}

fn told(saga: &answers::Detail, detail: story::Detail) -> anyhow::Result<String> {
    let mut text = summary(saga)?;
    for (title, why) in why(&saga.saga).into_iter().chain(trouble(&saga.saga)) {
        write!(text, "\n{}\n  {}\n", Styled::bold(title), Styled::plain(why))?;
    }
    write!(text, "\n{}\n{}", Styled::bold("Steps"), steps(saga))?;
    write!(text, "\n{}\n{}", Styled::bold("Timeline (UTC)"), story::timeline(&saga.timeline, detail)?)?;
    write!(text, "\n{}\n", Styled::bold("What you can do"))?;
    for advice in advice(saga) {
        match advice.command {
            None => writeln!(text, "  {}", Styled::plain(advice.when))?,
            Some(command) => writeln!(text, "  {}:\n    {}", Styled::plain(advice.when), Styled::plain(command))?,
        }
    }
    Ok(text)
}

fn summary(saga: &answers::Detail) -> anyhow::Result<String> {
    let Summary { id, definition, version, reference, customer, state, step, revision, .. } = &saga.saga;
    let mut at = step.as_deref().map(|step| format!(" at {step}")).unwrap_or_default();
    if saga.is_on_its_way_back() && !saga.saga.has_ended() {
        at.push_str(", on its way back: what it did is being made good");
    }
    if let Some(reason) = &saga.called_off {
        let once = if saga.saga.state == "paused" { "it is resumed" } else { "this is decided" };
        at.push_str(&format!(", called off ({}): it turns around once {once}", reason.told()));
    }
    let mut text = format!(
        "{}  {} v{version}  {}{}\n",
        Styled::bold(id),
        Styled::plain(definition),
        Styled::state(state),
        Styled::plain(at)
    );
    let since = age(saga.saga.age_seconds);
    let began = saga.saga.created_at.format(SECONDS)?;
    let time = match saga.saga.finished_at {
        Some(finished) => format!("took {since}, from {began} to {}", finished.format(SECONDS)?),
        None => format!("{since} old: began {began}, moved last {}", saga.saga.updated_at.format(SECONDS)?),
    };
    let facts = [
        ("about", Some(reference.clone())),
        ("customer", customer.clone()),
        ("time", Some(time)),
        ("revision", Some(revision.to_string())),
        ("trace", saga.traceparent.clone()),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(name, fact)| Some(vec![Styled::plain(""), Styled::faint(name), Styled::plain(fact?)]));
    text.push_str(&columns(&facts.collect::<Vec<_>>()));
    Ok(text)
}

/// What moved it off its way: a title, and the reason.
fn why(saga: &Summary) -> Option<(&'static str, String)> {
    let reason = saga.reason.as_ref()?;
    let title = match saga.state.as_str() {
        "parked" => "Why it is parked, and needs you",
        "paused" => "Why it is paused",
        _ => "Why it was turned around",
    };
    let step = if reason.step.is_empty() { String::new() } else { format!("at {}: ", reason.step) };
    Some((title, format!("{step}{}", reason.told())))
}

/// What keeps it at its step, though it is at work.
fn trouble(saga: &Summary) -> Option<(&'static str, String)> {
    saga.trouble.as_ref().map(|trouble| ("What keeps it", trouble.told()))
}

fn steps(saga: &answers::Detail) -> String {
    let titles = ["", "STEP", "STATUS", "ASKED", "DUE", "COMMAND", "UNDONE BY"];
    let mut rows = vec![titles.map(Styled::faint).to_vec()];
    let now = saga.saga.told_at();
    for step in &saga.steps {
        let is_current = Some(&step.step) == saga.saga.step.as_ref();
        // Of a step that is being undone, or is undone, they are those of the undo.
        let of_what = if step.status.starts_with("undo") { " to undo it" } else { "" };
        let asked = match step.attempts {
            0 => "-".to_owned(),
            1 => format!("once{of_what}"),
            many => format!("{many} times{of_what}"),
        };
        rows.push(vec![
            Styled::bold(if is_current { "▶" } else { " " }),
            Styled::plain(&step.step),
            Styled::state(if step.needs_operator || is_current && saga.saga.state == "parked" {
                "parked"
            } else {
                &step.status
            }),
            Styled::plain(asked),
            Styled::plain(match step.due {
                None => "-".to_owned(),
                // Its deadlines stand still, and are put off by as long as it was paused.
                Some(_) if saga.saga.state == "paused" => "stopped".to_owned(),
                // Nothing of a saga is done while one of its steps is parked.
                Some(_) if saga.saga.state == "parked" => "stopped".to_owned(),
                Some(due) => until(due, now),
            }),
            Styled::plain(step.command.clone().unwrap_or_else(|| participant(step))),
            Styled::plain(match &step.compensate {
                Some(compensate) => compensate.as_str(),
                None if step.pivot => "(from here on there is no way back)",
                None => "-",
            }),
        ]);
    }
    columns(&rows)
}

fn until(due: OffsetDateTime, now: OffsetDateTime) -> String {
    let seconds = (due - now).whole_seconds();
    if seconds >= 0 { format!("in {}", age(seconds)) } else { format!("{} ago", age(-seconds)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::terminal::uncoloured, *};

    #[test]
    fn a_parked_saga_says_where_why_what_happened_and_what_can_be_done() {
        let saga = read(json!({
            "id": "sga_1", "definition": "trip", "version": 1, "reference": "ord_1", "customer": "ann@example.com",
            "state": "parked", "step": "pay", "reason": {"step": "pay", "code": "parked", "detail": "100 attempts failed"},
            "revision": 2, "age_seconds": 192, "created_at": "2026-11-25T01:00:00.5Z", "updated_at": "2026-11-25T01:02:00Z",
            "finished_at": null, "traceparent": null, "context": {},
            "steps": [
                {"step": "book", "command": "air.book", "compensate": "air.cancel", "status": "done", "attempts": 1, "due": null},
                {"step": "pay", "command": "bank.pay", "compensate": null, "pivot": true, "status": "sent", "attempts": 100, "due": "2026-11-25T01:03:22.5Z"},
                {"step": "go", "command": null, "compensate": null, "status": "idle", "attempts": 0, "due": null},
            ],
            "timeline": [{"revision": 1, "at": "2026-11-25T01:00:00.5Z", "event": {"event": "started"}, "sent": []}],
        }))
        .expect("a saga");
        let told = told(&saga, story::Detail::default()).expect("it can be told");
        assert!(
            uncoloured(&told).starts_with(
                "\
sga_1  trip v1  parked at pay
  about     ord_1
  customer  ann@example.com
  time      3m12s old: began 2026-11-25 01:00:00 UTC, moved last 2026-11-25 01:02:00 UTC
  revision  2

Why it is parked, and needs you
  at pay: 100 attempts failed

Steps
   STEP  STATUS  ASKED      DUE      COMMAND                   UNDONE BY
   book  done    once       -        air.book                  air.cancel
▶  pay   parked  100 times  stopped  bank.pay                  (from here on there is no way back)
   go    idle    -          -        whoever sends its signal  -

Timeline (UTC)
2026-11-25
01:00:00.500  #1  the saga began

What you can do
"
            ),
            "{told}"
        );
        assert!(told.contains("makegood saga retry sga_1"));
    }
}
