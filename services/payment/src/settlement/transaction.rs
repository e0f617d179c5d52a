//! Makes what was decided durable: operations, transfers, the step's outcome and, last, the intents, in one transaction.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use makegood_contracts::{command::StepKey, reply::Outcome};
use makegood_messaging::barrier::{self, AlreadyDecided};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{AuthorizationEnd, Effect, decide, unanswered};
use crate::{
    ledger::{Leg, journal},
    operation::{Asker, Operation, Refusal, Said},
    store::{self, Changed, Intent, save_intents},
};

/// Tries before a batch that keeps losing races is given back to its sender.
const MAX_TRIES: u32 = 5;
/// Between tries, times the try: long enough for the winner's COMMIT.
const TRY_DELAY: Duration = Duration::from_millis(5);

/// What the provider said about an operation that was read before it was asked.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub operation: Operation,
    pub intent: Intent,
    pub said: Said,
}

/// What became of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Who is to be told; none where an operator asked.
    pub asker: Option<Asker>,
    pub outcome: Outcome,
    /// Whether it was this settlement that changed the operation's state.
    pub changed: bool,
}

/// Settles the verdicts and records `decided` (outcomes that needed no provider) in one transaction. Answers one
/// [`Settled`] per verdict, in order, and the outcome that stands for each of `decided`.
pub async fn settle(
    db: &PgPool,
    mut verdicts: Vec<Verdict>,
    decided: &[(&StepKey, Outcome)],
) -> anyhow::Result<(Vec<Settled>, Vec<Outcome>)> {
    let mut lost_races = 0;
    loop {
        match try_settle(db, &verdicts, decided, lost_races > 0).await {
            Ok(settled) => return Ok(settled),
            Err(error) if lost_races < MAX_TRIES && is_lost_race(&error) => {
                lost_races += 1;
                tokio::time::sleep(TRY_DELAY * lost_races).await;
                reload(db, &mut verdicts).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether trying again from what is there now can work.
pub fn is_lost_race(error: &anyhow::Error) -> bool {
    let contended = |error: &sqlx::Error| {
        // Unique violation, serialization failure, deadlock.
        error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| matches!(&*code, "23505" | "40001" | "40P01"))
    };
    error.chain().any(|cause| {
        cause.is::<Changed>()
            || cause.is::<AlreadyDecided>()
            || cause.downcast_ref::<sqlx::Error>().is_some_and(contended)
    })
}

async fn reload(db: &PgPool, verdicts: &mut [Verdict]) -> anyhow::Result<()> {
    let ids: Vec<Uuid> = verdicts.iter().map(|verdict| verdict.operation.id).collect();
    let mut conn = db.acquire().await?;
    let mut pairs = store::operations(&mut conn, &ids).await?;
    for verdict in verdicts {
        let id = verdict.operation.id;
        (verdict.operation, verdict.intent) = pairs.remove(&id).with_context(|| format!("operation {id} is gone"))?;
    }
    Ok(())
}

async fn try_settle(
    db: &PgPool,
    verdicts: &[Verdict],
    decided: &[(&StepKey, Outcome)],
    raced: bool,
) -> anyhow::Result<(Vec<Settled>, Vec<Outcome>)> {
    let changes = Changes::of(verdicts)?;
    let mut tx = db.begin().await?;
    changes.save(&mut tx).await?;
    let standing = record(&mut tx, &changes.settled, decided, raced).await?;
    save_intents(&mut tx, &changes.intents()).await?;
    tx.commit().await?;
    Ok(standing)
}

/// Stores the outcomes that are new. After a lost race some may stand already: those are kept, and answered.
async fn record(
    conn: &mut PgConnection,
    settled: &[Settled],
    decided: &[(&StepKey, Outcome)],
    raced: bool,
) -> anyhow::Result<(Vec<Settled>, Vec<Outcome>)> {
    let mut settled = settled.to_vec();
    let mut decided = decided.to_vec();
    let fresh = settled.iter_mut().filter(|one| one.changed).filter_map(|one| {
        let Settled { asker, outcome, .. } = one;
        asker.as_ref().map(|asker| (&asker.key, outcome))
    });
    let mut all: Vec<(&StepKey, &mut Outcome)> =
        fresh.chain(decided.iter_mut().map(|(key, outcome)| (*key, outcome))).collect();
    let mut standing = vec![false; all.len()];
    if raced {
        let keys: Vec<&StepKey> = all.iter().map(|(key, _)| *key).collect();
        for (n, stored) in barrier::outcomes(conn, &keys).await?.into_iter().enumerate() {
            if let Some(stored) = stored.filter(|stored| !matches!(stored, Outcome::Pending { .. })) {
                *all[n].1 = stored;
                standing[n] = true;
            }
        }
    }
    let new: Vec<(&StepKey, &Outcome)> = all
        .iter()
        .zip(&standing)
        .filter(|(_, stands)| !**stands)
        .map(|((key, outcome), _)| (*key, &**outcome))
        .collect();
    barrier::record(conn, &new).await?;
    Ok((settled, decided.into_iter().map(|(_, outcome)| outcome).collect()))
}

/// Everything that one batch writes. Several operations of one intent follow one another.
struct Changes {
    effects: Vec<(Operation, Effect)>,
    settled: Vec<Settled>,
    /// Each intent as it becomes, at the version it was read at, with its last error and whether it changes at all.
    intents: HashMap<Uuid, (Intent, Option<Refusal>, bool)>,
}

impl Changes {
    fn of(verdicts: &[Verdict]) -> anyhow::Result<Self> {
        let mut changes = Self { effects: Vec::new(), settled: Vec::new(), intents: HashMap::new() };
        for verdict in verdicts {
            changes.add(verdict)?;
        }
        Ok(changes)
    }

    fn add(&mut self, verdict: &Verdict) -> anyhow::Result<()> {
        let Verdict { operation, intent, said } = verdict;
        let (intent, last_error, touched) =
            self.intents.entry(intent.id).or_insert_with(|| (intent.clone(), None, false));
        let (effect, defect) = match decide(intent, operation, said) {
            Ok(effect) => (effect, None),
            Err(illegal) => {
                // The provider did something that our books cannot follow. It stays a question until people answer it.
                tracing::error!(operation_id = %operation.id, payment_intent_id = %intent.id, %illegal, ?said,
                    "the provider's word contradicts the books");
                (Some(unanswered(intent, operation)), Some(Outcome::defect(illegal.to_string())))
            }
        };
        let after = effect.as_ref().map_or(operation, |effect| &effect.operation);
        self.settled.push(Settled {
            asker: operation.asker.clone(),
            outcome: defect.map_or_else(|| after.outcome(intent), Ok)?,
            changed: after.state != operation.state,
        });
        if let Some(effect) = effect {
            *touched |= effect.progress != intent.progress || effect.last_error.is_some();
            intent.progress = effect.progress;
            *last_error = effect.last_error.clone().or_else(|| last_error.take());
            self.effects.push((operation.clone(), effect));
        }
        Ok(())
    }

    async fn save(&self, conn: &mut PgConnection) -> anyhow::Result<()> {
        save_operations(conn, &self.effects).await?;
        end_authorizations(conn, &self.ended_authorizations()).await?;
        let entries: Vec<(&Intent, &[Leg])> = self
            .effects
            .iter()
            .filter_map(|(operation, effect)| {
                self.intents.get(&operation.intent_id).map(|(intent, ..)| (intent, effect.legs.as_slice()))
            })
            .collect();
        journal::book(conn, &entries).await?;
        Ok(())
    }

    fn ended_authorizations(&self) -> Vec<(Uuid, AuthorizationEnd)> {
        let ends =
            self.effects.iter().filter_map(|(operation, effect)| Some((operation.intent_id, effect.authorization?)));
        ends.filter_map(|(intent_id, end)| Some((self.intents.get(&intent_id)?.0.authorization_id, end))).collect()
    }

    fn intents(&self) -> Vec<(&Intent, Option<&Refusal>)> {
        let touched = self.intents.values().filter(|(.., touched)| *touched);
        let mut touched: Vec<_> = touched.map(|(intent, error, _)| (intent, error.as_ref())).collect();
        // One order for everybody who locks several.
        touched.sort_unstable_by_key(|(intent, _)| intent.id);
        touched
    }
}

/// Writes operations, each only if it is still in the state it was decided from. An undecided one is asked about
/// again: after 2 s, then twice as long each time, at most a minute. One that is due stays due: whoever asks has put its time off, so a
/// callback has come meanwhile.
async fn save_operations(conn: &mut PgConnection, effects: &[(Operation, Effect)]) -> anyhow::Result<()> {
    if effects.is_empty() {
        return Ok(());
    }
    let after = || effects.iter().map(|(_, effect)| &effect.operation);
    let refusal = |pick: fn(&Refusal) -> Option<&str>| -> Vec<Option<&str>> {
        after().map(|operation| operation.refusal.as_ref().and_then(pick)).collect()
    };
    let written = sqlx::query(
        r"update payment_operation o
          set state = s.state, provider_reference = s.provider_reference, code = s.code, decline_code = s.decline_code,
              redirect_url = s.redirect_url, asked = o.asked + 1,
              ask_at = case when s.decided then null
                            when o.ask_at <= clock_timestamp() then o.ask_at
                            else clock_timestamp() + make_interval(secs => least(60, 2 * 2 ^ least(o.asked, 8))) end,
              decided_at = case when s.decided then clock_timestamp() end
          from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::text[], $8::text[])
               as s (operation_id, was, state, decided, provider_reference, code, decline_code, redirect_url)
          where o.operation_id = s.operation_id and o.state = s.was",
    )
    .bind(after().map(|operation| operation.id).collect::<Vec<_>>())
    .bind(effects.iter().map(|(before, _)| before.state.as_str()).collect::<Vec<_>>())
    .bind(after().map(|operation| operation.state.as_str()).collect::<Vec<_>>())
    .bind(after().map(|operation| operation.state.is_decided()).collect::<Vec<_>>())
    .bind(after().map(|operation| operation.provider_reference.as_deref()).collect::<Vec<_>>())
    .bind(refusal(|refusal| Some(&refusal.code)))
    .bind(refusal(|refusal| refusal.decline_code.as_deref()))
    .bind(after().map(|operation| operation.redirect_url.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await?
    .rows_affected();
    if written == effects.len() as u64 { Ok(()) } else { Err(Changed.into()) }
}

/// Authorizations that a void has told of. One that was decided by itself meanwhile stays as it is.
async fn end_authorizations(conn: &mut PgConnection, ends: &[(Uuid, AuthorizationEnd)]) -> Result<(), sqlx::Error> {
    if ends.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"update payment_operation o
          set state = case when s.is_released then 'succeeded' else 'declined' end,
              code = case when not s.is_released then 'voided' end,
              ask_at = null, decided_at = clock_timestamp()
          from unnest($1::uuid[], $2::boolean[]) as s (operation_id, is_released)
          where o.operation_id = s.operation_id and o.ask_at is not null",
    )
    .bind(ends.iter().map(|(operation_id, _)| *operation_id).collect::<Vec<_>>())
    .bind(ends.iter().map(|(_, end)| *end == AuthorizationEnd::Released).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
