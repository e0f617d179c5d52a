//! From effects to messages: commands grouped by subject, many to a message.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{
    command::{Command, Direction, StepKey},
    orchestrator::{Ending, SAGAS_ENDED, SagaEnd, SagaEnded},
    subject,
};
use makegood_messaging::bus::Bus;
use makegood_saga::{
    definition::pending_name,
    effect::{Effect, Send},
    state::State,
};
use serde_json::{Value, value::RawValue};

use crate::{saga_cache::Instance, saga_counters};

/// All replies come back on one partition: replicas share its consumer, and a batch stays one message.
pub(crate) const REPLY_PARTITION: u32 = 0;
/// Commands of one message, at most, until that makes [`MAX_TRAINS`]. In one message 128 sagas move as one train: the orchestrator
/// waits while their participant works, and the other way round. In two, one half is written while the other half's effects are
/// (decision 0020). Shorter trains cost more than they bring.
const SHORT_TRAIN: usize = 64;
/// Messages of one verb, at most; past 256 commands they grow instead. Where hundreds of sagas move together, there is work for everybody with these.
const MAX_TRAINS: usize = 4;

/// Commands that follow from transitions, ready to be published once those are durable.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// By their name in the definition, such as `inventory.hold_stock`, in the order in which they came.
    commands: Vec<(String, Command)>,
    /// Definitions of sagas that have begun, to be counted.
    began: Vec<String>,
    ended: Vec<Ended>,
}

/// A saga that has ended, and what is counted of it.
#[derive(Debug)]
struct Ended {
    told: SagaEnded,
    definition: String,
    /// Known once its end is written.
    took_seconds: Option<f64>,
}

impl Outgoing {
    /// Adds what a transition asks for. The payload is made now, from the context as the transition left it.
    pub(crate) fn add(&mut self, instance: &Instance, effect: &Effect) -> anyhow::Result<()> {
        match effect {
            Effect::Send(send) => self.add_send(instance, send),
            Effect::Tell { step, command, payload } => {
                let key = StepKey {
                    saga_id: instance.state.saga_id,
                    step: pending_name(instance.definition.name_of(*step)),
                    direction: Direction::Do,
                };
                self.push(command, command_of(instance, key, 1, None, payload)?);
                Ok(())
            }
            Effect::Finish => {
                self.ended.push(Ended {
                    told: SagaEnded { saga_id: instance.state.saga_id, ended: ending(&instance.state) },
                    definition: instance.definition.name.clone(),
                    took_seconds: None,
                });
                Ok(())
            }
        }
    }

    fn add_send(&mut self, instance: &Instance, send: &Send) -> anyhow::Result<()> {
        let step = instance.definition.command_at(send.index).context("only commands are sent")?;
        let name = match send.direction {
            Direction::Do => &step.command,
            Direction::Undo => step.compensate.as_ref().context("only steps that can be undone are undone")?,
        };
        let payload = payload(instance, send.index)?;
        let key = StepKey { saga_id: instance.state.saga_id, step: send.step.clone(), direction: send.direction };
        self.push(name, command_of(instance, key, send.attempt, send.deadline, &payload)?);
        Ok(())
    }

    fn push(&mut self, name: &str, command: Command) {
        self.commands.push((name.to_owned(), command));
    }

    /// This saga has begun.
    pub(crate) fn began(&mut self, instance: &Instance) {
        self.began.push(instance.definition.name.clone());
    }

    /// Of one saga: how many seconds it took, if it has ended.
    pub(crate) fn of_saga_that_took(mut self, seconds: Option<f64>) -> Self {
        for ended in &mut self.ended {
            ended.took_seconds = seconds;
        }
        self
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.commands.extend(other.commands);
        self.began.extend(other.began);
        self.ended.extend(other.ended);
    }

    /// Counts and publishes all of it. What cannot be published is sent again at its step's deadline, so that is only logged.
    pub(crate) async fn publish(self, bus: &Bus) {
        for definition in &self.began {
            saga_counters::began(definition);
        }
        for Ended { told, definition, took_seconds } in &self.ended {
            // Nothing is published, and so nothing counted, before it is written.
            if let Some(seconds) = took_seconds {
                saga_counters::ended(definition, told.ended, *seconds);
            }
        }
        let by_subject = by_subject(&self.commands);
        for (subject, commands) in &by_subject {
            saga_counters::sent(subject, commands);
        }
        let ended: Vec<SagaEnded> = self.ended.into_iter().map(|ended| ended.told).collect();
        bus.note(SAGAS_ENDED, &ended).await;
        let messages = by_subject
            .iter()
            .flat_map(|(subject, commands)| trains(commands).map(move |commands| bus.publish_all(subject, commands)));
        let sent = futures::future::join_all(messages).await;
        let failed = sent.iter().filter(|sent| sent.is_err()).count();
        if let Some(Err(error)) = sent.iter().find(|sent| sent.is_err()) {
            tracing::warn!(
                error = format!("{error:#}"),
                failed,
                of = sent.len(),
                "messages could not be published; their commands are sent again at their deadline"
            );
        }
    }
}

fn by_subject(commands: &[(String, Command)]) -> Vec<(String, Vec<&Command>)> {
    let mut by_name: HashMap<&str, Vec<&Command>> = HashMap::new();
    for (name, command) in commands {
        by_name.entry(name).or_default().push(command);
    }
    by_name.into_iter().map(|(name, commands)| (subject::command(name), commands)).collect()
}

/// What goes in one message each: equal parts, so that none is a straggler.
fn trains<T>(commands: &[T]) -> impl Iterator<Item = &[T]> {
    let count = commands.len().div_ceil(SHORT_TRAIN).clamp(1, MAX_TRAINS);
    commands.chunks(commands.len().div_ceil(count).max(1))
}

/// The payload of a step: its input, or for `finally` how the saga ended.
pub(crate) fn payload(instance: &Instance, index: usize) -> anyhow::Result<Value> {
    let step = instance.definition.command_at(index).context("an await sends nothing")?;
    let input = step.input.evaluate(&instance.state.context);
    if index < instance.definition.steps.len() {
        return Ok(Value::Object(input));
    }
    let end = SagaEnd { ended: ending(&instance.state), reason: instance.state.reasons.first().cloned(), input };
    serde_json::to_value(end).context("encoding how the saga ended")
}

fn ending(state: &State) -> Ending {
    if state.reasons.is_empty() { Ending::Completed } else { Ending::Compensated }
}

fn command_of(
    instance: &Instance,
    key: StepKey,
    attempt: u32,
    deadline: Option<time::OffsetDateTime>,
    payload: &Value,
) -> anyhow::Result<Command> {
    let payload: Box<RawValue> = serde_json::value::to_raw_value(payload).context("encoding a payload")?;
    Ok(Command {
        key,
        attempt,
        deadline,
        traceparent: instance.traceparent.clone(),
        reply_to: subject::reply(REPLY_PARTITION),
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_a_verb_go_in_equal_trains_neither_short_nor_many() {
        let lengths = |count: usize| trains(&vec![(); count]).map(<[()]>::len).collect::<Vec<_>>();
        assert!(lengths(0).is_empty());
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(64), [64]);
        assert_eq!(lengths(65), [33, 32]);
        assert_eq!(lengths(128), [64, 64]);
        assert_eq!(lengths(150), [50, 50, 50]);
        assert_eq!(lengths(512), [128; 4]);
    }
}
