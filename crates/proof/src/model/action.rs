//! What may happen next, and what it costs.

use makegood_contracts::{command::Direction, reply::Outcome};
use makegood_saga::{
    definition::StepKind,
    event::Event,
    state::{Phase, Status},
};
use serde_json::Value;

use super::{Key, Model, Reply, Row, World, orchestrator::Heard};

/// Which of the two orchestrators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// The one that wrote last.
    Writer,
    Other,
}

/// Where whoever does something dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Crash {
    AfterCommit,
    AfterPublish,
}

/// What a participant says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    Done,
    Refused,
    Pending,
    /// Try again.
    Failed,
    /// A defect: somebody must look.
    Defect,
}

impl Answer {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Done => Outcome::done(),
            Self::Refused => Outcome::refused("no", ""),
            Self::Pending => Outcome::Pending { reason: "someone must act".to_owned(), detail: Value::Null },
            Self::Failed => Outcome::retry(""),
            Self::Defect => Outcome::defect(""),
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A participant takes a command.
    Handle {
        key: Key,
        answer: Answer,
        crash: Option<Crash>,
    },
    /// Someone outside decides a pending step.
    Decide {
        step: usize,
        answer: Answer,
    },
    /// An orchestrator takes a reply.
    Hear {
        who: Who,
        reply: Reply,
        crash: Option<Crash>,
    },
    /// The signal that a step awaits comes.
    Signal {
        who: Who,
        step: usize,
    },
    /// A step's timer fires; of a pending step's, whether that was the last time.
    Fire {
        who: Who,
        step: usize,
        patience_is_over: bool,
    },
    /// An orchestrator starts anew, and sends again what is out.
    Recover {
        who: Who,
    },
    /// Whoever began it calls it off.
    Cancel {
        who: Who,
    },
    /// An operator.
    Retry,
    Pause,
    Resume,
    ForceCompensation,
    /// An operator sees in the participant's books that the parked step is settled, and says so.
    Resolve,
}

const BOTH: [Who; 2] = [Who::Writer, Who::Other];

impl Model {
    /// All that may happen.
    pub fn what_may_happen(&self, world: &World, actions: &mut Vec<Action>) {
        self.participants_act(world, actions);
        self.orchestrators_act(world, actions);
        self.people_act(world, actions);
        actions.retain(|action| self.cost(world, action) <= world.faults_left);
    }

    fn participants_act(&self, world: &World, actions: &mut Vec<Action>) {
        for key in &world.commands {
            let book = &world.books[key.step];
            let is_open = match key.direction {
                Direction::Do => matches!(book.action, Row::None | Row::Pending),
                Direction::Undo => !book.is_undone,
            };
            // What is decided is answered as before, unless there is no barrier to know of it.
            let answers: &[Answer] = match key.direction {
                _ if !is_open => &[Answer::Done],
                Direction::Do if book.action == Row::Pending => &[Answer::Pending],
                Direction::Do if self.may_be_pending(key.step) => {
                    &[Answer::Done, Answer::Refused, Answer::Pending, Answer::Failed, Answer::Defect]
                }
                Direction::Do => &[Answer::Done, Answer::Refused, Answer::Failed, Answer::Defect],
                Direction::Undo => &[Answer::Done, Answer::Failed, Answer::Defect],
            };
            for answer in answers {
                actions.push(Action::Handle { key: *key, answer: *answer, crash: None });
            }
            if is_open {
                actions.push(Action::Handle { key: *key, answer: Answer::Done, crash: Some(Crash::AfterCommit) });
            }
        }
        for (step, book) in world.books.iter().enumerate() {
            if book.action == Row::Pending && !book.is_undone {
                actions.extend([Answer::Done, Answer::Refused].map(|answer| Action::Decide { step, answer }));
            }
        }
    }

    /// Those that say so, and `finally`, of which a definition cannot say it.
    fn may_be_pending(&self, step: usize) -> bool {
        let command = self.definition.command_at(step);
        step == self.definition.steps.len() || command.is_some_and(|command| command.pending.is_some())
    }

    fn orchestrators_act(&self, world: &World, actions: &mut Vec<Action>) {
        for who in BOTH {
            for reply in &world.replies {
                for crash in [None, Some(Crash::AfterCommit), Some(Crash::AfterPublish)] {
                    actions.push(Action::Hear { who, reply: *reply, crash });
                }
            }
            let seen = self.at_hand(world, who);
            for (step, progress) in seen.0.steps.iter().enumerate().filter(|(_, step)| step.due.is_some()) {
                actions.push(Action::Fire { who, step, patience_is_over: false });
                if progress.status == Status::Pending {
                    actions.push(Action::Fire { who, step, patience_is_over: true });
                }
            }
            actions.push(Action::Recover { who });
        }
    }

    fn people_act(&self, world: &World, actions: &mut Vec<Action>) {
        let saga = &world.stored.0;
        if saga.phase.has_ended() {
            return;
        }
        for who in BOTH {
            for (step, one) in self.definition.steps.iter().enumerate() {
                if matches!(&one.kind, StepKind::Await(awaited) if !saga.signals.contains_key(&awaited.signal)) {
                    actions.push(Action::Signal { who, step });
                }
            }
            actions.push(Action::Cancel { who });
        }
        actions.push(Action::ForceCompensation);
        actions.push(if saga.paused.is_some() { Action::Resume } else { Action::Pause });
        if saga.parked.is_some() {
            actions.push(Action::Retry);
            if self.parked_step_is_settled(world) {
                actions.push(Action::Resolve);
            }
        }
    }

    /// Whether what the parked step is to bring about is so already.
    fn parked_step_is_settled(&self, world: &World) -> bool {
        let saga = &world.stored.0;
        let parked = saga.parked.as_ref().and_then(|parked| self.definition.index_of(&parked.step));
        parked.filter(|index| self.definition.command_at(*index).is_some()).is_some_and(|index| {
            let book = &world.books[index];
            if saga.phase == Phase::Backward { book.is_undone } else { book.effects > 0 }
        })
    }

    /// What happens on a good day costs nothing.
    pub(super) fn cost(&self, world: &World, action: &Action) -> u8 {
        let by = |who: Who| u8::from(who == Who::Other);
        match action {
            Action::Handle { answer, crash, .. } => u8::from(*answer != Answer::Done || crash.is_some()),
            Action::Decide { .. } => 0,
            Action::Hear { who, crash, .. } => by(*who) + u8::from(crash.is_some()),
            Action::Signal { who, .. } => by(*who),
            Action::Fire { who, step, .. } => {
                let is_retry =
                    matches!(self.at_hand(world, *who).0.steps[*step].status, Status::Retrying | Status::UndoRetrying);
                by(*who) + u8::from(!is_retry)
            }
            Action::Recover { who } | Action::Cancel { who } => by(*who) + 1,
            Action::Resume => 0,
            Action::Retry | Action::Pause | Action::ForceCompensation | Action::Resolve => 1,
        }
    }

    /// The world after it. None where it changes nothing that a cost was worth.
    pub fn next(&self, before: &World, action: &Action) -> Option<World> {
        let mut world = before.clone();
        world.faults_left = world.faults_left.checked_sub(self.cost(before, action))?;
        match action {
            Action::Handle { key, answer, crash } => self.handle(&mut world, *key, *answer, *crash),
            Action::Decide { step, answer } => self.decide(&mut world, *step, *answer),
            Action::Hear { who, reply, crash } => {
                self.hear(&mut world, *who, &Heard::Event(self.event_of(reply)), *crash);
            }
            Action::Signal { who, step } => {
                let event = self.signal_of(*step)?;
                self.hear(&mut world, *who, &Heard::Event(event), None);
            }
            Action::Fire { who, step, patience_is_over } => {
                let heard = Heard::Timer { step: *step, patience_is_over: *patience_is_over };
                self.hear(&mut world, *who, &heard, None);
            }
            Action::Recover { who } => self.hear(&mut world, *who, &Heard::Event(Event::Recovered), None),
            Action::Cancel { who } => {
                let event = Event::Cancelled { code: "cancelled".to_owned(), detail: String::new() };
                self.hear(&mut world, *who, &Heard::Event(event), None);
            }
            Action::Retry => self.operate(&mut world, retry()),
            Action::Pause => {
                self.operate(&mut world, Event::Paused { actor: "ann".to_owned(), reason: "she looks".to_owned() });
            }
            Action::Resume => self.operate(&mut world, resume()),
            Action::ForceCompensation => {
                let event = Event::CompensationForced { actor: "ann".to_owned(), reason: "fraud".to_owned() };
                self.operate(&mut world, event);
            }
            Action::Resolve => {
                let parked = world.stored.0.parked.clone()?;
                let event = Event::Resolved {
                    step: parked.step,
                    actor: "ann".to_owned(),
                    reason: "seen in the books".to_owned(),
                    output: Value::Null,
                };
                self.operate(&mut world, event);
            }
        }
        self.watch(&mut world);
        let is_news = World { faults_left: before.faults_left, ..world.clone() } != *before;
        is_news.then_some(world)
    }

    pub(super) fn event_of(&self, reply: &Reply) -> Event {
        Event::Replied {
            step: self.definition.name_of(reply.key.step).to_owned(),
            direction: reply.key.direction,
            attempt: 1,
            outcome: reply.answer.outcome(),
        }
    }

    pub(super) fn signal_of(&self, step: usize) -> Option<Event> {
        match &self.definition.steps.get(step)?.kind {
            StepKind::Await(awaited) => {
                Some(Event::Signalled { signal: awaited.signal.clone(), payload: Value::Null, by: None })
            }
            StepKind::Command(_) => None,
        }
    }
}

pub(super) fn retry() -> Event {
    Event::Retried { actor: "ann".to_owned(), reason: "mended".to_owned() }
}

pub(super) fn resume() -> Event {
    Event::Resumed { actor: "ann".to_owned(), reason: "seen".to_owned() }
}
