//! Moving many sagas at once: load what is not at hand, run the transitions, write, and reload whoever lost a race.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use anyhow::Context as _;
use makegood_chassis::clock::DbClock;
use makegood_contracts::{orchestrator::StartSaga, reply::Outcome};
use makegood_messaging::at_hand::AtHand;
use makegood_saga::{
    context::Context,
    definition::Definition,
    effect::Effect,
    event::Event,
    state::State,
    transition::{Verdict, move_version, transition},
};
use uuid::Uuid;

use crate::{
    definitions::Definitions,
    outgoing::Outgoing,
    saga_cache::{Instance, SagaCache},
    saga_store::{self, LogRow, Move},
};

/// Two replicas that contend for a saga settle it in one reload; more means that something is wrong.
const MAX_RELOADS: usize = 5;

pub(crate) struct Advance {
    pub(crate) connections: AtHand,
    pub(crate) clock: DbClock,
    pub(crate) definitions: Definitions,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Advanced {
    /// To be published now that it is durable.
    pub(crate) outgoing: Outgoing,
    /// Per event, in order, what the engine said; `None` where there is no such saga.
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

/// Other replicas were quicker each time.
#[derive(Debug, thiserror::Error)]
#[error("{0} events lost every race for their saga's revision")]
pub(crate) struct LostEveryRace(pub(crate) usize);

/// What came of starts.
#[derive(Default)]
pub(crate) struct Begun {
    /// To be published now that it is durable.
    pub(crate) outgoing: Outgoing,
    /// Starts that came too late: nobody can tell any more whether these have run.
    pub(crate) past: HashSet<Uuid>,
}

/// A saga in work: where it stands, what to log and what to send.
pub(crate) struct Working {
    instance: Instance,
    from_revision: i32,
    /// Not read just now: another replica may have moved it since.
    is_from_cache: bool,
    log: Vec<LogRow>,
    outgoing: Outgoing,
}

impl Advance {
    /// Applies events, in order per saga. Everything is durable when it returns.
    ///
    /// # Errors
    /// The database. A part may have been written, and what follows from that is in `advanced` all the same. The call may be made
    /// again, since an event that was applied is ignored by the state that it made.
    pub(crate) async fn apply(
        &self,
        cache: &mut SagaCache,
        events: &[(Uuid, Event)],
        advanced: &mut Advanced,
    ) -> anyhow::Result<()> {
        advanced.verdicts = vec![None; events.len()];
        let mut open: Vec<usize> = (0..events.len()).collect();
        for _ in 0..=MAX_RELOADS {
            if open.is_empty() {
                return Ok(());
            }
            open = self.round(cache, events, open, advanced).await?;
        }
        Err(LostEveryRace(open.len()).into())
    }

    /// One round of applying. Returns the places of events whose saga was moved by another replica meanwhile: its write
    /// lost the race for the revision, or an answer came to a question that only the other replica knows to have asked.
    async fn round(
        &self,
        cache: &mut SagaCache,
        events: &[(Uuid, Event)],
        open: Vec<usize>,
        advanced: &mut Advanced,
    ) -> anyhow::Result<Vec<usize>> {
        let mut working = self.gather(cache, events, &open).await?;
        let now = self.clock.now();
        let mut stale = HashSet::new();
        let mut woken_early = HashSet::new();
        for place in &open {
            let (id, event) = &events[*place];
            advanced.verdicts[*place] = match working.get_mut(id) {
                Some(one) => {
                    let verdict = one.apply(event, now)?;
                    if one.may_be_stale(event, &verdict) {
                        stale.insert(*id);
                    }
                    if matches!((event, &verdict), (Event::Woke, Verdict::Ignored)) {
                        woken_early.insert(*id);
                    }
                    Some(verdict)
                }
                None => {
                    tracing::warn!(saga_id = %id, event = event.outline(), "an event for a saga that is not known");
                    None
                }
            };
        }
        let mut moves = Vec::with_capacity(working.len());
        let mut early = Vec::new();
        let mut outgoing = HashMap::with_capacity(working.len());
        for (id, one) in working {
            if stale.contains(&id) {
                continue;
            }
            outgoing.insert(id, one.outgoing);
            let has_ended = one.instance.state.phase.has_ended();
            if one.log.is_empty() && woken_early.contains(&id) && !has_ended {
                early.push((id, one.instance));
            } else if one.log.is_empty() {
                cache.keep(id, one.instance);
            } else {
                moves.push(Move { id, from_revision: one.from_revision, instance: one.instance, log: one.log });
            }
        }
        // One global order, so that two replicas that write the same sagas cannot deadlock.
        moves.sort_unstable_by_key(|one| one.id);
        let written = match moves.is_empty() {
            true => Default::default(),
            false => {
                let mut connection = self.connections.take().await?;
                let written = saga_store::write(&mut connection, &moves).await.context("writing sagas")?;
                self.connections.keep(connection);
                written
            }
        };
        let mut lost = stale;
        for one in moves {
            if written.contains_key(&one.id) {
                cache.keep(one.id, one.instance);
            } else {
                lost.insert(one.id);
            }
        }
        // Before anything else can fail: what is written is told.
        outgoing.retain(|id, _| !lost.contains(id));
        for (id, more) in outgoing {
            advanced.outgoing.merge(more.of_saga_that_took(written.get(&id).copied().flatten()));
        }
        lost.extend(self.set_true_timers(cache, early).await?);
        Ok(open.into_iter().filter(|place| lost.contains(&events[*place].0)).collect())
    }

    /// A timer may be early. It is then set to the true deadline, or the saga would be looked at every few seconds until
    /// then. Returns the sagas that are not as they are at hand: another replica or an operator has moved them meanwhile.
    async fn set_true_timers(
        &self,
        cache: &mut SagaCache,
        mut early: Vec<(Uuid, Instance)>,
    ) -> anyhow::Result<Vec<Uuid>> {
        if early.is_empty() {
            return Ok(Vec::new());
        }
        early.sort_unstable_by_key(|(id, _)| *id);
        for (_, instance) in &mut early {
            instance.wake_at = instance.state.wake_at();
        }
        let mut connection = self.connections.take().await?;
        let set = saga_store::set_timers(&mut connection, &early).await.context("setting timers")?;
        self.connections.keep(connection);
        let mut others = Vec::new();
        for (id, instance) in early {
            match set.contains(&id) {
                true => cache.keep(id, instance),
                false => others.push(id),
            }
        }
        Ok(others)
    }

    /// The sagas of the open events, from the cache or the database.
    async fn gather(
        &self,
        cache: &mut SagaCache,
        events: &[(Uuid, Event)],
        open: &[usize],
    ) -> anyhow::Result<HashMap<Uuid, Working>> {
        let mut missing: Vec<Uuid> =
            open.iter().map(|place| events[*place].0).filter(|id| !cache.contains(*id)).collect();
        missing.sort_unstable();
        missing.dedup();
        let mut working = HashMap::with_capacity(open.len());
        if !missing.is_empty() {
            let mut connection = self.connections.take().await?;
            let loaded = saga_store::load(&mut connection, &self.definitions, &missing).await?;
            self.connections.keep(connection);
            working.extend(loaded.into_iter().map(|(id, instance)| (id, Working::of(instance))));
        }
        for place in open {
            let id = events[*place].0;
            if let Some(instance) = cache.take(id) {
                working.insert(id, Working { is_from_cache: true, ..Working::of(instance) });
            }
        }
        Ok(working)
    }

    /// Inserts sagas that do not exist, and returns their first commands. One that exists keeps going as it is.
    pub(crate) async fn start(&self, cache: &mut SagaCache, starts: &[StartSaga]) -> anyhow::Result<Begun> {
        let now = self.clock.now();
        let mut begun: HashMap<Uuid, (&StartSaga, Working)> = HashMap::new();
        for start in starts {
            let Some(definition) = self.definitions.newest(&start.definition) else {
                tracing::error!(saga_id = %start.saga_id, definition = start.definition, "a start names no known definition");
                continue;
            };
            let signals = start.signals.clone().into_iter().collect();
            let state = State::new(definition, start.saga_id, start.input.clone(), signals);
            let instance = Instance {
                definition: definition.clone(),
                state,
                revision: 0,
                traceparent: start.traceparent.clone(),
                wake_at: None,
            };
            let mut one = Working::of(instance);
            one.apply(&Event::Started, now)?;
            begun.insert(start.saga_id, (start, one));
        }
        let rows: Vec<_> =
            begun.values().filter_map(|(start, one)| Some((*start, &one.instance, one.log.first()?))).collect();
        if rows.is_empty() {
            return Ok(Begun::default());
        }
        let mut connection = self.connections.take().await?;
        let started = saga_store::start(&mut connection, &rows).await.context("starting sagas")?;
        self.connections.keep(connection);
        drop(rows);
        let mut outgoing = Outgoing::default();
        for (id, (_, one)) in begun {
            if started.new.contains(&id) {
                outgoing.merge(one.outgoing);
                cache.keep(id, one.instance);
            }
        }
        Ok(Begun { outgoing, past: started.past })
    }
}

impl Working {
    pub(crate) fn of(instance: Instance) -> Self {
        Self {
            from_revision: instance.revision,
            is_from_cache: false,
            instance,
            log: Vec::new(),
            outgoing: Outgoing::default(),
        }
    }

    /// Runs one transition and collects what it means for the log and the bus.
    pub(crate) fn apply(&mut self, event: &Event, now: time::OffsetDateTime) -> anyhow::Result<Verdict> {
        let state = std::mem::replace(&mut self.instance.state, placeholder());
        let moved = transition(&self.instance.definition, state, event, now);
        let event = moved.logged.as_ref().unwrap_or(event);
        if matches!(event, Event::Started) {
            self.outgoing.began(&self.instance);
        }
        self.instance.state = moved.state;
        for effect in &moved.effects {
            self.outgoing.add(&self.instance, effect)?;
        }
        match &moved.verdict {
            Verdict::Moved => self.log(event, &moved.effects)?,
            Verdict::Conflict(why) => {
                tracing::error!(saga_id = %self.instance.state.saga_id, why, event = event.outline(), "a reply contradicts what was decided");
                self.log(event, &moved.effects)?;
            }
            // It is read anew, and then either makes sense or is told.
            Verdict::Unexpected(_) if self.is_from_cache => {}
            Verdict::Unexpected(why) => {
                tracing::error!(saga_id = %self.instance.state.saga_id, why, event = event.outline(), "an event that cannot be");
            }
            Verdict::Ignored | Verdict::Refused(_) => {}
        }
        Ok(moved.verdict)
    }

    /// Whether the event may have been turned away only because another replica, or an operator's request, has moved the saga
    /// since it was kept at hand: it is read anew and asked again. Repetitions are not, which come by the thousand after a restart:
    /// a `done` or `pending` that changes nothing has been taken in before, and one that has ended is moved by nobody. What the
    /// clock brings has its own way of finding that out.
    fn may_be_stale(&self, event: &Event, verdict: &Verdict) -> bool {
        let is_repetition = if let Event::Replied { step, outcome, .. } = event {
            matches!(outcome, Outcome::Done { .. } | Outcome::Pending { .. })
                || self.instance.definition.tells_pending(step)
        } else {
            matches!(event, Event::Woke | Event::Recovered)
        };
        let is_turned_away = match verdict {
            Verdict::Moved | Verdict::Conflict(_) => false,
            Verdict::Unexpected(_) => true,
            Verdict::Ignored | Verdict::Refused(_) => !is_repetition && !self.instance.state.phase.has_ended(),
        };
        self.is_from_cache && is_turned_away
    }

    pub(crate) fn context_bytes(&self) -> usize {
        self.instance.state.context.bytes()
    }

    pub(crate) fn definition_name(&self) -> &str {
        &self.instance.definition.name
    }

    /// Puts the saga on another version of its definition, if it can go on there.
    pub(crate) fn move_version(&mut self, to: Arc<Definition>, event: &Event) -> anyhow::Result<Verdict> {
        let state = std::mem::replace(&mut self.instance.state, placeholder());
        let moved = move_version(&self.instance.definition, &to, state);
        self.instance.state = moved.state;
        if moved.verdict == Verdict::Moved {
            self.instance.definition = to;
            self.log(event, &moved.effects)?;
        }
        Ok(moved.verdict)
    }

    /// What to write, and what to publish once it is written.
    pub(crate) fn into_move(self, id: Uuid) -> (Move, Outgoing) {
        (Move { id, from_revision: self.from_revision, instance: self.instance, log: self.log }, self.outgoing)
    }

    fn log(&mut self, event: &Event, effects: &[Effect]) -> anyhow::Result<()> {
        let sends: Vec<_> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Send(send) => Some(send),
                Effect::Tell { .. } | Effect::Finish => None,
            })
            .collect();
        let sent = if sends.is_empty() { None } else { Some(serde_json::to_string(&sends).context("encoding sends")?) };
        self.log.push(LogRow { event: serde_json::to_string(event).context("encoding an event")?, sent });
        self.instance.revision += 1;
        self.instance.wake_at = lazily(self.instance.wake_at, self.instance.state.wake_at());
        Ok(())
    }
}

/// The row's timer only ever moves when it must: a timer that fires early costs one look, an index update on every
/// step costs the heap-only update (see docs/decisions).
fn lazily(stored: Option<time::OffsetDateTime>, needed: Option<time::OffsetDateTime>) -> Option<time::OffsetDateTime> {
    match (stored, needed) {
        (Some(stored), Some(needed)) if stored <= needed => Some(stored),
        (_, needed) => needed,
    }
}

/// Stands in for a state that is on its way through a transition.
fn placeholder() -> State {
    State {
        saga_id: Uuid::nil(),
        context: Context::default(),
        phase: makegood_saga::state::Phase::Forward,
        stage: 0,
        steps: Vec::new(),
        signals: std::collections::BTreeMap::new(),
        reasons: Vec::new(),
        called_off: None,
        parked: None,
        paused: None,
    }
}
