//! An operator's hand on sagas: the move, its log row and the audit row in one transaction, conditional on the revision.
//!
//! One saga over HTTP and a thousand in bulk go through the same function. What is to be sent is published after the
//! transaction; dying in between costs a step's timeout, nothing else.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_saga::{event::Event, transition::Verdict};
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    definitions::Definitions,
    driver::Working,
    operation::Operation,
    outgoing::Outgoing,
    saga_cache::Instance,
    saga_store::{self, Move},
};

/// Who asks for what, and why.
pub(crate) struct Operator<'a> {
    pub(crate) definitions: &'a Definitions,
    pub(crate) operation: &'a Operation,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
    /// The bulk operation that this is part of.
    pub(crate) bulk_operation: Option<Uuid>,
    pub(crate) now: OffsetDateTime,
}

/// Where a saga is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) state: &'static str,
    /// The current step; none once ended.
    pub(crate) step: Option<String>,
    pub(crate) revision: i32,
}

/// What became of one saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operated {
    /// It moved, and an audit row says so.
    Moved(Position),
    /// It was so already: the same signal had come before, with this payload. Nothing is written.
    Unchanged(Position),
    /// Not possible now; worded for whoever asked.
    Refused(String),
    /// It was moved by someone else meanwhile. Nothing is written.
    Raced,
    /// It cannot be worked at all.
    Failed(String),
}

/// What became of all of them, and what is to be published once the transaction is committed.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) operated: HashMap<Uuid, Operated>,
    pub(crate) outgoing: Outgoing,
}

/// A move that waits to be written.
struct Ready {
    event: Event,
    position: Position,
    outgoing: Outgoing,
}

impl Operator<'_> {
    /// Does it to sagas that were loaded in this transaction.
    pub(crate) async fn act(&self, tx: &mut PgConnection, instances: HashMap<Uuid, Instance>) -> anyhow::Result<Round> {
        let mut round = Round { operated: HashMap::new(), outgoing: Outgoing::default() };
        let mut moves = Vec::new();
        let mut ready = HashMap::new();
        for (id, instance) in instances {
            match self.decide(id, instance) {
                Ok((one, waiting)) => {
                    moves.push(one);
                    ready.insert(id, waiting);
                }
                Err(operated) => {
                    round.operated.insert(id, operated);
                }
            }
        }
        // One global order, so that two writers of the same sagas cannot deadlock.
        moves.sort_unstable_by_key(|one| one.id);
        if moves.is_empty() {
            return Ok(round);
        }
        let written = saga_store::write(&mut *tx, &moves).await.context("writing sagas")?;
        if let Operation::Move { version } = self.operation {
            let ids: Vec<Uuid> = written.keys().copied().collect();
            saga_store::move_version(&mut *tx, &ids, *version).await.context("moving sagas to another version")?;
        }
        let audited: Vec<_> = moves.iter().filter(|one| written.contains_key(&one.id)).collect();
        self.audit(tx, &audited, &ready).await.context("writing the audit")?;
        for (id, one) in ready {
            let operated = match written.get(&id) {
                Some(took) => {
                    round.outgoing.merge(one.outgoing.of_saga_that_took(*took));
                    Operated::Moved(one.position)
                }
                None => Operated::Raced,
            };
            round.operated.insert(id, operated);
        }
        Ok(round)
    }

    /// Runs the transition; what speaks against it, or why nothing is to be written, is the error.
    fn decide(&self, id: Uuid, instance: Instance) -> Result<(Move, Ready), Operated> {
        let event = self.operation.event(instance.definition.version, self.actor, self.reason);
        let mut working = Working::of(instance);
        let verdict = match self.operation {
            Operation::Move { version } => {
                let Some(definition) = self.definitions.version(working.definition_name(), *version) else {
                    let name = working.definition_name();
                    return Err(Operated::Refused(format!("there is no version {version} of `{name}`")));
                };
                working.move_version(definition.clone(), &event)
            }
            Operation::Retry
            | Operation::Skip { .. }
            | Operation::Compensate
            | Operation::Resolve { .. }
            | Operation::Pause
            | Operation::Resume
            | Operation::Cancel
            | Operation::Signal { .. } => working.apply(&event, self.now),
        };
        let verdict = verdict.map_err(|error| Operated::Failed(format!("{error:#}")))?;
        let (one, outgoing) = working.into_move(id);
        let position = position(&one.instance);
        match verdict {
            Verdict::Moved => Ok((one, Ready { event, position, outgoing })),
            Verdict::Refused(why) | Verdict::Unexpected(why) | Verdict::Conflict(why) => Err(Operated::Refused(why)),
            Verdict::Ignored => Err(self.unchanged(&one.instance, position)),
        }
    }

    /// Only a signal is ignored: it had come before, or comes too late.
    fn unchanged(&self, instance: &Instance, position: Position) -> Operated {
        match self.operation {
            Operation::Signal { signal, payload } => match instance.state.signals.get(signal) {
                Some(kept) if kept == payload => Operated::Unchanged(position),
                Some(_) => Operated::Refused(format!(
                    "`{signal}` has come before, with another payload, and the first one counts"
                )),
                None if instance.definition.index_awaiting(signal).is_none() => {
                    Operated::Refused(instance.definition.awaits_no(signal))
                }
                None => Operated::Refused(format!("the saga is past the step that awaits `{signal}`")),
            },
            Operation::Retry
            | Operation::Skip { .. }
            | Operation::Compensate
            | Operation::Resolve { .. }
            | Operation::Pause
            | Operation::Resume
            | Operation::Cancel
            | Operation::Move { .. } => Operated::Unchanged(position),
        }
    }

    async fn audit(
        &self,
        tx: &mut PgConnection,
        moves: &[&Move],
        ready: &HashMap<Uuid, Ready>,
    ) -> Result<(), sqlx::Error> {
        let owner = |one: &&Move| Owner::of(&one.instance);
        sqlx::query(
            r"insert into audit (id, actor, action, saga_id, reason, detail, account_id, livemode, bulk_operation_id)
              select a.id, $1, $2, a.saga_id, $3, a.detail::jsonb, a.account_id, a.livemode, $4
              from unnest($5::uuid[], $6::uuid[], $7::text[], $8::uuid[], $9::boolean[])
                   as a (id, saga_id, detail, account_id, livemode)",
        )
        .bind(self.actor)
        .bind(self.operation.action())
        .bind(self.reason)
        .bind(self.bulk_operation)
        .bind(moves.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(moves.iter().map(|one| one.id).collect::<Vec<_>>())
        .bind(
            moves
                .iter()
                .map(|one| ready.get(&one.id).map(|ready| serde_json::json!(ready.event).to_string()))
                .collect::<Vec<_>>(),
        )
        .bind(moves.iter().map(|one| owner(one).account_id).collect::<Vec<_>>())
        .bind(moves.iter().map(|one| owner(one).livemode).collect::<Vec<_>>())
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Whose saga it is, as far as its input says so.
struct Owner {
    account_id: Option<Uuid>,
    livemode: Option<bool>,
}

impl Owner {
    fn of(instance: &Instance) -> Self {
        let input = instance.state.context.get("input").unwrap_or(&Value::Null);
        Self {
            account_id: input["account_id"].as_str().and_then(|id| id.parse().ok()),
            livemode: input["livemode"].as_bool(),
        }
    }
}

pub(crate) fn position(instance: &Instance) -> Position {
    Position {
        state: instance.state.condition().as_str(),
        step: instance.state.current_step(&instance.definition).map(str::to_owned),
        revision: instance.revision,
    }
}
