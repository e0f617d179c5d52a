//! What a scripted participant answers.

use makegood_contracts::reply::Outcome;
use serde::Deserialize;
use serde_json::Value;

/// `done`, `silent`, `{done: output}`, `{refused: code}`, `{pending: reason}`, `{failed: detail}` (may be tried again) or
/// `{defect: detail}` (may not).
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Answer {
    /// No answer at all.
    Silent,
    Given(Outcome),
}

const FORMS: &str = "write done, silent, {done: output}, {refused: code}, {refused: {code: …, detail: …}}, {pending: reason}, \
                     {failed: detail} or {defect: detail}";

impl TryFrom<Value> for Answer {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let form = || format!("`{value}` is no answer: {FORMS}");
        match &value {
            Value::String(word) if word == "done" => Ok(Self::Given(Outcome::done())),
            Value::String(word) if word == "silent" => Ok(Self::Silent),
            Value::Object(fields) => {
                let mut fields = fields.iter();
                let (Some((word, what)), None) = (fields.next(), fields.next()) else { return Err(form()) };
                outcome(word, what).map(Self::Given).ok_or_else(form)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(form()),
        }
    }
}

fn outcome(word: &str, what: &Value) -> Option<Outcome> {
    let text = || what.as_str().map(str::to_owned);
    match word {
        "done" => Some(Outcome::Done { output: what.clone() }),
        "refused" => match what.as_str() {
            Some(code) => Some(Outcome::refused(code, "")),
            None => {
                let fields = what.as_object()?;
                let is_known = fields.keys().all(|field| matches!(field.as_str(), "code" | "detail"));
                let detail = fields.get("detail").map_or(Some(""), Value::as_str)?;
                let code = fields.get("code").filter(|_| is_known)?.as_str()?;
                Some(Outcome::refused(code, detail))
            }
        },
        "pending" => Some(Outcome::Pending { reason: text()?, detail: Value::Null }),
        "failed" => Some(Outcome::retry(text()?)),
        "defect" => Some(Outcome::defect(text()?)),
        _ => None,
    }
}

/// One answer for every attempt, or a list: one per attempt, of which the last one stays.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Answers(Vec<Answer>);

impl TryFrom<Value> for Answers {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::Array(answers) if answers.is_empty() => {
                Err("an empty list answers nothing: write `silent`".to_owned())
            }
            Value::Array(answers) => Ok(Self(answers.into_iter().map(Answer::try_from).collect::<Result<_, _>>()?)),
            one @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                Ok(Self(vec![Answer::try_from(one)?]))
            }
        }
    }
}

impl Answers {
    /// The answer to a sending, counted from 0.
    pub(super) fn to(&self, sending: usize) -> &Answer {
        // A list is never empty.
        self.0.get(sending).unwrap_or(&self.0[self.0.len() - 1])
    }
}
