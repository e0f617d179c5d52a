//! `makegood saga tail`: follows one saga, or all that match, until they have ended.
//!
//! It asks again and again, once a second at most, and tells what is new by revision: no connection is held, and a
//! deployment that restarts meanwhile is only asked again.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    admin::{Access, Admin, read},
    answers::{Detail, Summary},
    filter::Filter,
    find, story,
    terminal::{Styled, columns, print, print_json_line},
};
use crate::{
    client::{duration::parse_duration, output::Output},
    progress,
    usage::Usage,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  makegood saga tail ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f
  makegood saga tail --definition checkout
  makegood saga tail --state parked --every 5s -o json";

/// Followed at once: what a screen can tell and a list can answer in a few pages.
const MAX_FOLLOWED: usize = 1_000;
const SECONDS: &[time::format_description::BorrowedFormatItem<'static>] =
    time::macros::format_description!("[hour]:[minute]:[second]");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One saga: its id (sga_…), its checkout's, cancellation's or return's (chk_…, cnl_…, ret_…), or its order's (ord_…)
    saga: Option<String>,
    #[command(flatten)]
    filter: Filter,
    /// How often it is asked (ms, s or m)
    #[arg(long, default_value = "1s", value_parser = parse_pause, value_name = "DURATION")]
    every: Duration,
    /// How it is written: JSON is one entry of the timeline, or one saga that moved, a line
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    access: Access,
}

/// Asking more often would load the database for what no eye can follow.
fn parse_pause(text: &str) -> Result<Duration, String> {
    let pause = parse_duration(text)?;
    if pause < Duration::from_millis(200) { Err("at least 200ms".to_owned()) } else { Ok(pause) }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = Admin::open(args.access, args.output)?;
    match &args.saga {
        Some(named) if args.filter.is_empty() => {
            let id = find::saga_id(&admin, named).await?;
            follow_one(&admin, &id, args.every, args.output).await
        }
        Some(_) => Err(Usage("one saga, or a filter: not both".to_owned()).into()),
        None => follow_all(&admin, args.filter, args.every, args.output).await,
    }
}

async fn follow_one(admin: &Admin, id: &str, every: Duration, output: Output) -> anyhow::Result<()> {
    let mut told = 0;
    let mut was_parked = false;
    loop {
        let body = admin.saga(id).await?.body;
        let Detail { saga, timeline, .. } = read(body.clone())?;
        if told == 0 && output == Output::Table {
            print(&format!("{}\n", Styled::bold(title(&saga))))?;
        }
        for (entry, json) in timeline.iter().zip(body["timeline"].as_array().into_iter().flatten()) {
            match output {
                _ if entry.revision <= told => {}
                Output::Table => print(&columns(&story::entry_rows(entry, story::Detail::default())?))?,
                Output::Json => print_json_line(json)?,
            }
        }
        // The timeline was read after the rest, and may be further.
        told = timeline.iter().map(|entry| entry.revision).max().unwrap_or(told);
        if saga.has_ended() {
            return match output {
                Output::Table => print(&format!("{}\n", Styled::state(&saga.state))),
                Output::Json => Ok(()),
            };
        }
        let is_parked = saga.state == "parked";
        if is_parked && !was_parked {
            progress::say(&format!("it is parked and needs you: makegood saga show {}", saga.id));
        }
        was_parked = is_parked;
        tokio::time::sleep(every).await;
    }
}

fn title(saga: &Summary) -> String {
    format!("{}  {} v{}  {}", saga.id, saga.definition, saga.version, saga.reference)
}

async fn follow_all(admin: &Admin, mut filter: Filter, every: Duration, output: Output) -> anyhow::Result<()> {
    filter.state.get_or_insert_with(|| "live".to_owned());
    let mut followed = Followed::default();
    let mut said_more = false;
    loop {
        let (rows, more) = admin.sagas(&filter, MAX_FOLLOWED).await?;
        if more && !said_more {
            progress::say(&format!("more than {MAX_FOLLOWED} match; the newest of them are followed"));
            said_more = true;
        }
        let listed = rows.into_iter().map(Seen::new).collect::<anyhow::Result<Vec<_>>>()?;
        let look = followed.look(&listed, more);
        for seen in look.news {
            tell(seen, output)?;
        }
        for id in look.gone {
            tell(&Seen::new(admin.saga(&id).await?.body)?, output)?;
        }
        if followed.is_empty() {
            progress::say("nothing that matches is under way");
            return Ok(());
        }
        tokio::time::sleep(every).await;
    }
}

/// A saga as it was told, in both forms.
struct Seen {
    summary: Summary,
    json: Value,
}

impl Seen {
    fn new(mut json: Value) -> anyhow::Result<Self> {
        let summary = read(json.clone())?;
        // One read alone comes with its timeline; a line has what a list has.
        if let Some(fields) = json.as_object_mut() {
            for more in ["steps", "context", "timeline", "traceparent"] {
                fields.remove(more);
            }
        }
        Ok(Self { summary, json })
    }
}

fn tell(Seen { summary: saga, json }: &Seen, output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        return print_json_line(json);
    }
    let at = saga.updated_at.to_offset(time::UtcOffset::UTC).time().format(SECONDS)?;
    let step = saga.step.as_deref().map(|step| format!(" at {step}")).unwrap_or_default();
    let why = saga.reason.as_ref().map(|reason| format!(": {}", reason.detail)).unwrap_or_default();
    let rest = Styled::plain(format!("{step}{why}"));
    print(&format!("{}  {}  {}{rest}\n", Styled::faint(at), Styled::plain(title(saga)), Styled::state(&saga.state)))
}

/// The sagas under way, each with the revision that was told last.
#[derive(Debug, Default)]
struct Followed(BTreeMap<String, i64>);

/// What one look at the list brought.
struct Look<'a> {
    /// Sagas that are new or have moved, oldest first.
    news: Vec<&'a Seen>,
    /// Sagas that are not in the list any more.
    gone: Vec<String>,
}

impl Followed {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with the list, newest first; `cut` when it ends before all that match.
    fn look<'a>(&mut self, listed: &'a [Seen], cut: bool) -> Look<'a> {
        let mut now = BTreeMap::new();
        let mut news = Vec::new();
        for seen in listed.iter().rev() {
            let Summary { id, revision, .. } = &seen.summary;
            if self.0.get(id) != Some(revision) {
                news.push(seen);
            }
            if !seen.summary.has_ended() {
                now.insert(id.clone(), *revision);
            }
        }
        // Ids grow with time: what is older than a list that was cut may well be there still.
        let oldest = listed.last().filter(|_| cut).map(|seen| seen.summary.id.clone()).unwrap_or_default();
        let before = std::mem::replace(&mut self.0, now);
        let ended = |id: &String| listed.iter().any(|seen| seen.summary.id == *id);
        let gone = before.into_keys().filter(|id| *id >= oldest && !self.0.contains_key(id) && !ended(id)).collect();
        Look { news, gone }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(id: &str, revision: i64) -> Seen {
        let saga = json!({
            "id": id, "definition": "trip", "version": 1, "reference": "r", "customer": null, "state": "running", "step": "go",
            "reason": null, "revision": revision, "age_seconds": 9, "created_at": "2026-11-25T01:00:00Z",
            "updated_at": "2026-11-25T01:00:00Z", "finished_at": null,
        });
        Seen::new(saga).expect("a saga")
    }

    fn ids(look: &Look<'_>) -> (Vec<String>, Vec<String>) {
        (look.news.iter().map(|seen| seen.summary.id.clone()).collect(), look.gone.clone())
    }

    fn names(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    #[test]
    fn what_is_new_has_moved_or_is_gone_is_told_once() {
        let mut followed = Followed::default();
        let first = [seen("sga_2", 1), seen("sga_1", 4)];
        assert_eq!(ids(&followed.look(&first, false)), (names(&["sga_1", "sga_2"]), names(&[])));
        assert_eq!(ids(&followed.look(&first, false)), (names(&[]), names(&[])));
        let later = [seen("sga_3", 1), seen("sga_2", 2)];
        assert_eq!(ids(&followed.look(&later, false)), (names(&["sga_2", "sga_3"]), names(&["sga_1"])));
        assert_eq!(ids(&followed.look(&[], false)), (names(&[]), names(&["sga_2", "sga_3"])));
        assert!(followed.is_empty());
    }

    #[test]
    fn what_fell_off_the_end_of_a_long_list_is_not_gone() {
        let mut followed = Followed::default();
        followed.look(&[seen("sga_3", 1), seen("sga_1", 1)], true);
        let cut = [seen("sga_5", 1), seen("sga_2", 1)];
        assert_eq!(ids(&followed.look(&cut, true)), (names(&["sga_2", "sga_5"]), names(&["sga_3"])));
    }
}
