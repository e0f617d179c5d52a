//! `makegood dead-letters show`: one letter, with what was in it and what can be done.

use serde::Deserialize;
use serde_json::Value;

use super::{Letter, SECONDS, path, service};
use crate::{
    client::{
        admin::{Access, Admin, read},
        output::Output,
        terminal::{Styled, columns, print, print_json},
    },
    roles::Role,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood dead-letters show inventory dlq_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f
  makegood dead-letters show orchestrator dlq_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f -o json";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose letter it is, as `ls` has it
    #[arg(value_parser = service)]
    service: Role,
    /// The letter, dlq_…
    letter: String,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(flatten)]
    letter: Letter,
    payload: Option<Value>,
    payload_bytes: usize,
    not_redrivable: Option<String>,
    audit: Vec<Decided>,
}

#[derive(Debug, Deserialize)]
struct Decided {
    #[serde(with = "time::serde::rfc3339")]
    at: time::OffsetDateTime,
    actor: String,
    action: String,
    reason: String,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let answer = admin.get(&format!("{}/{}", path(args.service), args.letter)).await?.body;
    match args.output {
        Output::Json => print_json(&answer),
        Output::Table => print(&told(args.service, &read(answer)?)?),
    }
}

fn told(service: Role, detail: &Detail) -> anyhow::Result<String> {
    let Detail { letter, payload, payload_bytes, not_redrivable, audit } = detail;
    let mut rows = vec![
        vec![Styled::bold(&letter.id), Styled::plain(&letter.state)],
        vec![Styled::plain("  service"), Styled::plain(service.name())],
        vec![Styled::plain("  subject"), Styled::plain(&letter.subject)],
        vec![Styled::plain("  why"), Styled::plain(&letter.reason)],
        vec![
            Styled::plain("  parked"),
            Styled::plain(format!("{} UTC, delivery {}", letter.parked()?, letter.deliveries)),
        ],
    ];
    for decided in audit {
        let at = decided.at.to_offset(time::UtcOffset::UTC).format(SECONDS)?;
        let by = format!("{at} UTC by {}: {}", decided.actor, decided.reason);
        rows.push(vec![Styled::plain(format!("  {}", decided.action)), Styled::plain(by)]);
    }
    let mut text = columns(&rows);
    text.push_str("\nWhat was in it\n");
    match payload {
        Some(payload) => {
            for line in serde_json::to_string_pretty(payload)?.lines() {
                text.push_str(&format!("  {}\n", Styled::plain(line)));
            }
        }
        None => text.push_str(&format!("  {payload_bytes} bytes that are no JSON, and are not shown\n")),
    }
    if letter.state == "waiting" {
        text.push_str("\nWhat you can do\n");
        let command =
            |verb: &str| format!("makegood dead-letters {verb} {} {} --reason \"…\"", service.name(), letter.id);
        match not_redrivable {
            None => text.push_str(&format!("  Its cause is mended; send it again:\n    {}\n", command("redrive"))),
            Some(why) => text.push_str(&format!("  It cannot be sent again. {}\n", Styled::plain(why))),
        }
        text.push_str(&format!("  It is settled otherwise; let it go:\n    {}\n", command("discard")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::client::terminal::uncoloured;

    fn shown(payload: Value, not_redrivable: Option<&str>) -> String {
        let detail = read(json!({
            "id": "dlq_1", "subject": "cmd.inventory.hold_stock.v1", "reason": "no command: EOF", "state": "waiting",
            "deliveries": 2, "parked_at": "2026-11-25T02:24:01Z", "resolved_at": null, "payload": payload, "payload_bytes": 17,
            "not_redrivable": not_redrivable, "audit": [],
        }))
        .expect("a letter");
        uncoloured(&told(Role::Inventory, &detail).expect("is told"))
    }

    #[test]
    fn a_letter_is_told_with_its_reason_and_the_commands_to_copy() {
        assert_eq!(
            shown(json!({"lines": 3}), None),
            "\
dlq_1      waiting
  service  inventory
  subject  cmd.inventory.hold_stock.v1
  why      no command: EOF
  parked   2026-11-25 02:24:01 UTC, delivery 2

What was in it
  {
    \"lines\": 3
  }

What you can do
  Its cause is mended; send it again:
    makegood dead-letters redrive inventory dlq_1 --reason \"…\"
  It is settled otherwise; let it go:
    makegood dead-letters discard inventory dlq_1 --reason \"…\"
"
        );
        let garbage = shown(Value::Null, Some("It is no JSON."));
        assert!(
            garbage.contains("17 bytes that are no JSON") && garbage.contains("cannot be sent again. It is no JSON.")
        );
        assert!(!garbage.contains("redrive"), "{garbage}");
    }
}
