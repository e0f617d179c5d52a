//! From what a transition asks for to the commands that are out, as services/orchestrator's outgoing does it.

use makegood_contracts::{
    command::{Direction, StepKey},
    orchestrator::{Ending, SagaEnd},
};
use makegood_saga::{
    effect::{Effect, Send},
    state::State,
    transition::Transition,
};
use serde_json::{Value, json};

use super::{
    Simulation,
    flows::Flow,
    wire::{Command, Message},
};
use crate::bug::Bug;

impl Simulation {
    pub(super) fn publish_command(&mut self, command: Command) {
        let key = &command.key;
        let is_told = key.step.ends_with(".pending");
        let row = self.store.rows.get(&key.saga_id);
        // A text that is split always has a first part.
        let step = key.step.split('~').next().unwrap_or_default().to_owned();
        let stands = row.is_some_and(|row| row.sent.contains(&(step.clone(), key.direction, command.attempt)));
        if !is_told && !stands {
            self.breaks(format!("published, and no log says that it is sent: {key} #{}", command.attempt));
        }
        self.last_published.insert((key.saga_id, step, key.direction), self.schedule.now);
        self.publish(Message::Command(command));
    }

    /// What a transition asks for, ready to be sent.
    pub(super) fn commands_of(&mut self, flow: &Flow, moved: &Transition) -> Vec<Command> {
        moved.effects.iter().filter_map(|effect| self.command_of(flow, &moved.state, effect)).collect()
    }

    fn command_of(&self, flow: &Flow, state: &State, effect: &Effect) -> Option<Command> {
        let saga_id = state.saga_id;
        match effect {
            Effect::Send(send) => {
                let command = flow.definition.command_at(send.index)?;
                let name = match send.direction {
                    Direction::Do => command.command.clone(),
                    Direction::Undo => command.compensate.clone()?,
                };
                let step = self.key_step(send);
                let key = StepKey { saga_id, step, direction: send.direction };
                let payload = payload(flow, state, send.index)?;
                Some(Command { key, name, attempt: send.attempt, deadline: send.deadline, payload })
            }
            Effect::Tell { step, command, payload } => {
                let step = format!("{}.pending", flow.name_of(*step));
                let key = StepKey { saga_id, step, direction: Direction::Do };
                Some(Command { key, name: command.clone(), attempt: 1, deadline: None, payload: payload.clone() })
            }
            Effect::Finish => None,
        }
    }

    fn key_step(&self, send: &Send) -> String {
        match self.bug {
            Some(Bug::RetryUnderNewKey) if send.attempt > 1 => format!("{}~{}", send.step, send.attempt),
            _ => send.step.clone(),
        }
    }
}

/// The payload of a step: its input, or for `finally` how the saga ended.
fn payload(flow: &Flow, state: &State, index: usize) -> Option<Value> {
    let input = flow.definition.command_at(index)?.input.evaluate(&state.context);
    if index < flow.definition.steps.len() {
        return Some(Value::Object(input));
    }
    let ended = if state.reasons.is_empty() { Ending::Completed } else { Ending::Compensated };
    Some(json!(SagaEnd { ended, reason: state.reasons.first().cloned(), input }))
}
