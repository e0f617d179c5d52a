//! A script, as it is written in YAML.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::UserMessageFormatter;

use super::answer::{Answer, Answers};
use crate::definition::parse_duration;

/// Cases for one definition.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The definition's file, beside the script's.
    pub definition: String,
    pub cases: Vec<Case>,
}

/// One run: what is given, what happens, what must come of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows.
    pub case: String,
    /// `$.input`.
    #[serde(default)]
    pub(super) input: Value,
    /// Signals that are known from the start.
    #[serde(default)]
    pub(super) signals: BTreeMap<String, Value>,
    /// What each step answers; `done` where nothing is said.
    #[serde(default)]
    pub(super) replies: BTreeMap<String, Answers>,
    /// What the undoing of each step answers; `done` where nothing is said.
    #[serde(default)]
    pub(super) undo_replies: BTreeMap<String, Answers>,
    /// What happens in turn, each time that the saga has come to rest. Afterwards time passes until it has ended, is
    /// parked, or stands as expected.
    #[serde(default)]
    pub(super) then: Vec<Happening>,
    pub(super) expect: Expectation,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Happening {
    /// Time passes; what is due in it happens.
    Wait(WrittenDuration),
    Signal(GivenSignal),
    /// A late answer of a step.
    Reply(LateReply),
    /// Whoever began it calls it off.
    Cancel(Cancellation),
    /// An operator sends again what is out or parked.
    Retry(Because),
    /// An operator turns it around.
    Compensate(Because),
    /// An operator settles the parked step.
    Resolve(Settlement),
    /// The orchestrator starts anew.
    Restart(Because),
}

impl Happening {
    /// Under which name it stands in a script.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Wait(_) => "wait",
            Self::Signal(_) => "signal",
            Self::Reply(_) => "reply",
            Self::Cancel(_) => "cancel",
            Self::Retry(_) => "retry",
            Self::Compensate(_) => "compensate",
            Self::Resolve(_) => "resolve",
            Self::Restart(_) => "restart",
        }
    }

    /// The step that it names.
    pub(super) const fn step(&self) -> Option<&String> {
        match self {
            Self::Reply(late) => Some(&late.step),
            Self::Resolve(by_hand) => Some(&by_hand.step),
            Self::Wait(_)
            | Self::Signal(_)
            | Self::Cancel(_)
            | Self::Retry(_)
            | Self::Compensate(_)
            | Self::Restart(_) => None,
        }
    }

    /// The signal that it gives.
    pub(super) const fn signal(&self) -> Option<&String> {
        match self {
            Self::Signal(signal) => Some(&signal.name),
            Self::Wait(_)
            | Self::Reply(_)
            | Self::Cancel(_)
            | Self::Retry(_)
            | Self::Compensate(_)
            | Self::Resolve(_)
            | Self::Restart(_) => None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenSignal {
    pub(super) name: String,
    #[serde(default)]
    pub(super) payload: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LateReply {
    pub(super) step: String,
    #[serde(default)]
    pub(super) undo: bool,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cancellation {
    pub(super) code: String,
    #[serde(default)]
    pub(super) detail: String,
}

/// Why someone does it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Because(pub(super) String);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settlement {
    pub(super) step: String,
    #[serde(default)]
    pub(super) output: Value,
    pub(super) reason: String,
}

/// What must come of a case. What is left out may be anything, but that nothing in `then` is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    /// `completed`, `compensated`, `parked`, `waiting`, …
    pub(super) state: String,
    /// The code that it was undone for.
    pub(super) reason: Option<String>,
    /// The step that is parked.
    pub(super) parked: Option<String>,
    /// The steps whose doing was sent, in order, each once however often it was sent.
    pub(super) sent: Option<Vec<String>>,
    /// The steps whose undoing was sent, in order.
    pub(super) undone: Option<Vec<String>>,
    /// The steps that were skipped, in order.
    pub(super) skipped: Option<Vec<String>>,
    /// What stands in `then` and must not be possible, in order: `[compensate]`.
    #[serde(default)]
    pub(super) refused: Vec<String>,
    /// Fields of what was sent to a step.
    #[serde(default)]
    pub(super) inputs: BTreeMap<String, Map<String, Value>>,
}

/// `15m`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct WrittenDuration(pub(super) Duration);

impl TryFrom<String> for WrittenDuration {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let duration = parse_duration(&text);
        duration.map(Self).ok_or_else(|| {
            format!("`{text}` is no duration: write a whole number and ms, s, m, h or d, and 36500d at most")
        })
    }
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// What is wrong first, with its line and column.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        // `no` is a word, as in definitions.
        let options = serde_saphyr::options! { strict_booleans: true };
        serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| error.without_snippet().render_with_formatter(&UserMessageFormatter))
    }
}
