//! `makegood saga ls`: sagas by what is known of them, newest first.

use super::{
    admin::{Access, Admin, read},
    age::age,
    answers::Summary,
    filter::Filter,
    terminal::{Styled, columns, print, print_json_line, shortened},
};
use crate::{client::output::Output, progress};

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood saga ls --state parked
  makegood saga ls --stuck
  makegood saga ls --order ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f
  makegood saga ls --state live --older-than 10m -o json";

/// What of a reason fits behind everything else; `show` has all of it.
const REASON_CHARACTERS: usize = 72;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,
    /// Sagas at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// How the list is written: JSON is one saga a line
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let (rows, more) = admin.sagas(&args.filter, usize::try_from(args.limit)?).await?;
    match args.output {
        Output::Json => rows.iter().try_for_each(print_json_line)?,
        Output::Table if rows.is_empty() => progress::say("no saga matches"),
        Output::Table => {
            let sagas = rows.into_iter().map(read).collect::<anyhow::Result<Vec<Summary>>>()?;
            print(&table(&sagas))?;
        }
    }
    if more {
        progress::say(&format!("there are more than these {}: --limit shows more of them", args.limit));
    }
    Ok(())
}

fn table(sagas: &[Summary]) -> String {
    let titles = ["SAGA", "DEFINITION", "STATE", "STEP", "AGE", "ABOUT", "WHY"];
    let mut rows = vec![titles.map(Styled::bold).to_vec()];
    rows.extend(sagas.iter().map(|saga| {
        vec![
            Styled::plain(&saga.id),
            Styled::plain(format!("{} v{}", saga.definition, saga.version)),
            Styled::state(&saga.state),
            Styled::plain(saga.step.as_deref().unwrap_or("-")),
            Styled::plain(age(saga.age_seconds)),
            Styled::plain(&saga.reference),
            Styled::plain(shortened(&saga.why(), REASON_CHARACTERS)),
        ]
    }));
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::terminal::uncoloured, *};

    #[test]
    fn a_list_says_where_each_stands_and_why() {
        let saga = |id: &str, state: &str, step: Option<&str>, reason: serde_json::Value| {
            read::<Summary>(json!({
                "id": id, "definition": "trip", "version": 2, "reference": "ord_1", "customer": null, "state": state,
                "step": step, "reason": reason, "revision": 9, "age_seconds": 192, "created_at": "2026-11-25T01:00:00Z",
                "updated_at": "2026-11-25T01:00:01Z", "finished_at": null,
            }))
            .expect("a summary")
        };
        let in_trouble = |saga: Summary, kind: &str, detail: &str| {
            let trouble = json!({"step": "book", "kind": kind, "detail": detail, "attempt": 7, "is_undo": false});
            Summary { trouble: Some(read(trouble).expect("trouble")), ..saga }
        };
        let parked = json!({"step": "pay", "code": "parked", "detail": "100 attempts failed"});
        let refused = json!({"step": "pay", "code": "declined", "detail": "no funds"});
        let told = table(&[
            saga("sga_1", "parked", Some("pay"), parked),
            saga("sga_2", "compensated", None, refused),
            saga("sga_3", "running", Some("book"), json!(null)),
            in_trouble(saga("sga_4", "running", Some("book"), json!(null)), "silent", ""),
            in_trouble(saga("sga_5", "running", Some("book"), json!(null)), "failing", "the line is dead"),
        ]);
        assert_eq!(
            uncoloured(&told),
            "\
SAGA   DEFINITION  STATE        STEP  AGE    ABOUT  WHY
sga_1  trip v2     parked       pay   3m12s  ord_1  100 attempts failed
sga_2  trip v2     compensated  -     3m12s  ord_1  declined: no funds
sga_3  trip v2     running      book  3m12s  ord_1
sga_4  trip v2     running      book  3m12s  ord_1  book: no answer so far, asked 7 times
sga_5  trip v2     running      book  3m12s  ord_1  book fails: the line is dead (attempt 7)
"
        );
    }
}
