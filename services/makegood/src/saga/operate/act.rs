//! `makegood saga retry`, `skip`, `compensate`, …: one operation on one saga, on the saga as the operator could see it.
//!
//! The saga is read first, and the request carries its revision: if it moves in between, nothing is done and the operator
//! is told so.

use serde_json::Value;

use super::{
    admin::{Access, Admin, Refusal, read},
    answers::{Detail, Moved, Summary},
    find,
    operation::Operation,
    terminal::{Styled, print, print_json},
};
use crate::client::output::Output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args<O: Operation> {
    /// The saga: its id (sga_…), its checkout's, cancellation's or return's (chk_…, cnl_…, ret_…), or its order's (ord_…)
    saga: String,
    #[command(flatten)]
    operation: O,
    /// Why, for whoever reads the audit log
    #[arg(long)]
    reason: String,
    /// Do it even if the saga moves meanwhile
    #[arg(long)]
    force: bool,
    /// How the result is written; as JSON, a refusal is its problem document
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

pub(super) async fn run<O: Operation>(args: Args<O>) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    let id = find::saga_id(&admin, &args.saga).await?;
    let seen = admin.saga(&id).await?;
    let if_match = seen.etag.filter(|_| !args.force);
    let Detail { saga: before, .. } = read(seen.body)?;
    let mut body = args.operation.fields(before.step.as_deref())?;
    body.insert("reason".to_owned(), Value::from(args.reason));
    let path = format!("/v1/admin/sagas/{}/{}", before.id, O::ACTION);
    let answer = admin.post(&path, &Value::Object(body), if_match.as_deref()).await;
    let answer = answer.map_err(|error| explained(error, &before))?;
    match args.output {
        Output::Json => print_json(&answer),
        Output::Table => print(&told::<O>(&before, &read(answer)?)),
    }
}

/// A refusal leaves everything as it was, which the operator should not have to guess.
fn explained(error: anyhow::Error, before: &Summary) -> anyhow::Error {
    let Some(refusal) = error.downcast_ref::<Refusal>() else {
        return error.context(format!("whether it was done is not known; look: makegood saga show {}", before.id));
    };
    let hint = match refusal.status() {
        reqwest::StatusCode::PRECONDITION_FAILED => {
            format!(
                "Nothing was done. Look again (makegood saga show {}), and decide again; --force does not look",
                before.id
            )
        }
        _ => format!("Nothing was done: {} is {}, at revision {}", before.id, before.stands(), before.revision),
    };
    anyhow::anyhow!("{refusal}\n{hint}")
}

fn told<O: Operation>(before: &Summary, after: &Moved) -> String {
    let done = match after.state.as_str() {
        _ if after.revision == before.revision => "nothing has changed: it had that already",
        // Decided, and not begun: a paused saga sends nothing.
        "paused" if matches!(O::ACTION, "compensate" | "cancel") => {
            "noted: it is paused, and is undone once it is resumed"
        }
        _ => O::DONE,
    };
    let step = after.step.as_deref().map(|step| format!(" at {step}")).unwrap_or_default();
    format!(
        "{} ({} v{}, {}): {done}\n  was {}, revision {}\n  is  {}{step}, revision {}\n",
        Styled::bold(&before.id),
        Styled::plain(&before.definition),
        before.version,
        Styled::plain(&before.reference),
        Styled::plain(before.stands()),
        before.revision,
        Styled::state(&after.state),
        after.revision,
    )
}
