//! Starts refunds, for a saga's step and for an operator alike: checked against what is left, reserved in counters and
//! ledger, and stored as an operation that has not been sent yet.
//!
//! An operator gets exactly what was asked for, or a refusal. A saga that cancels or takes back an order is past its pivot and may find
//! that an operator has given back a part before: it gives back what is left (decision 0023).

use std::collections::HashMap;

use makegood_contracts::money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    intent::{Event, Illegal, Progress, State, apply},
    ledger::{self, Leg, journal},
    operation::{self, Asker, Kind, Operation},
    store::{self, Intent, Pair},
};

/// A sentence or two; the long story belongs elsewhere.
const MAX_REASON_CHARS: usize = 500;

/// A refund that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub operation_id: Uuid,
    pub intent_id: Uuid,
    pub refund_id: Uuid,
    /// All that is left, if none is given.
    pub amount: Option<Money>,
    pub reason: Option<String>,
    /// A saga's step; none where an operator asked.
    pub asker: Option<Asker>,
}

/// What became of it.
#[derive(Debug)]
pub enum Started {
    New(Box<Pair>),
    /// It was started before.
    Before(Box<Pair>),
    Refused {
        code: &'static str,
        detail: String,
    },
    /// A saga's: another refund of the payment is undecided, and how much this one can give back depends on it.
    Waits,
    /// A saga's: all of the payment has gone back before, with these refunds. The last of them stands for this one.
    AllBack(AllBack),
}

/// A payment of which nothing is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllBack {
    pub intent_id: Uuid,
    pub currency: String,
    /// None until it was looked up.
    pub last_refund_id: Option<Uuid>,
}

/// How much a refund is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Minor(i64),
    Undecided,
    Nothing,
}

/// Starts each, in order, in the caller's transaction. The intents stay locked until it ends.
pub async fn start(conn: &mut PgConnection, wanted: &[Wanted], first_ask_seconds: f64) -> anyhow::Result<Vec<Started>> {
    let intent_ids: Vec<Uuid> = wanted.iter().map(|wanted| wanted.intent_id).collect();
    let mut intents = store::lock_intents(conn, &intent_ids).await?;
    let before = operations_of(conn, wanted).await?;
    let mut started = Vec::with_capacity(wanted.len());
    for refund in wanted {
        started.push(match before.get(&refund.refund_id) {
            Some(pair) if pair.0.id == refund.operation_id => Started::Before(Box::new(pair.clone())),
            Some(_) => Started::Refused {
                code: "refund_id_used",
                detail: format!("refund {} is another one", refund.refund_id),
            },
            None => reserve(&mut intents, refund),
        });
    }
    save(conn, &started, &intents, first_ask_seconds).await?;
    name_last_refunds(conn, &mut started).await?;
    for one in &mut started {
        if let Started::New(pair) = one {
            // As it is stored now, with everything that this call reserved.
            let intent = &intents[&pair.1.id];
            pair.1 = Intent { version: intent.version + 1, ..intent.clone() };
        }
    }
    Ok(started)
}

/// Refunds that exist under the wanted ids, by refund id.
async fn operations_of(conn: &mut PgConnection, wanted: &[Wanted]) -> anyhow::Result<HashMap<Uuid, Pair>> {
    let refund_ids: Vec<Uuid> = wanted.iter().map(|wanted| wanted.refund_id).collect();
    let ids: Vec<Uuid> = sqlx::query_scalar("select operation_id from payment_operation where refund_id = any($1)")
        .bind(refund_ids)
        .fetch_all(&mut *conn)
        .await?;
    let pairs = store::operations(conn, &ids).await?;
    Ok(pairs.into_values().filter_map(|pair| pair.0.refund_id.map(|refund_id| (refund_id, pair))).collect())
}

/// Looks up under which refunds the last of a payment went back.
async fn name_last_refunds(conn: &mut PgConnection, started: &mut [Started]) -> anyhow::Result<()> {
    let all_back = |one: &Started| match one {
        Started::AllBack(all_back) => Some(all_back.intent_id),
        Started::New(_) | Started::Before(_) | Started::Refused { .. } | Started::Waits => None,
    };
    let intents: Vec<Uuid> = started.iter().filter_map(all_back).collect();
    if intents.is_empty() {
        return Ok(());
    }
    let last: HashMap<Uuid, Uuid> = sqlx::query_as(
        r"select distinct on (intent_id) intent_id, refund_id from payment_operation
          where intent_id = any($1) and kind = 'refund' and state = 'succeeded' and refund_id is not null
          order by intent_id, decided_at desc, operation_id",
    )
    .bind(intents)
    .fetch_all(conn)
    .await?
    .into_iter()
    .collect();
    for one in started {
        if let Started::AllBack(all_back) = one {
            all_back.last_refund_id = last.get(&all_back.intent_id).copied();
        }
    }
    Ok(())
}

/// Takes the amount out of what may still be refunded. Pure.
pub fn reserve(intents: &mut HashMap<Uuid, Intent>, wanted: &Wanted) -> Started {
    let Some(intent) = intents.get_mut(&wanted.intent_id) else {
        return Started::Refused {
            code: "payment_intent_unknown",
            detail: format!("there is no payment intent {}", wanted.intent_id),
        };
    };
    let progress = intent.progress;
    let left = left(progress);
    if wanted.amount.is_some_and(|amount| amount.code() != intent.currency) {
        return Started::Refused {
            code: "currency_mismatch",
            detail: format!("the payment is in {}", intent.currency),
        };
    }
    if wanted.reason.as_deref().is_some_and(|reason| !is_reason(reason)) {
        return Started::Refused {
            code: "reason_invalid",
            detail: "the reason is too long or has control characters".to_owned(),
        };
    }
    let minor = match share(progress, wanted) {
        Share::Minor(minor) => minor,
        Share::Undecided => return Started::Waits,
        Share::Nothing => {
            let currency = intent.currency.clone();
            return Started::AllBack(AllBack { intent_id: intent.id, currency, last_refund_id: None });
        }
    };
    match apply(progress, Event::RefundStarted { minor }) {
        Ok(after) => {
            intent.progress = after;
            Started::New(Box::new((operation(wanted, minor), intent.clone())))
        }
        Err(Illegal::Event { state, .. }) => Started::Refused {
            code: "payment_not_captured",
            detail: format!("a payment that is {} has nothing to give back", state.as_str()),
        },
        Err(Illegal::Amount { .. }) if left == 0 => Started::Refused {
            code: "refund_exceeds_captured",
            detail: match progress.refunding_minor {
                0 => "all of the payment has been refunded".to_owned(),
                _ => "all that is left of the payment is being refunded, and not decided yet".to_owned(),
            },
        },
        Err(Illegal::Amount { .. }) => Started::Refused {
            code: "refund_exceeds_captured",
            detail: format!("{left} minor units of {} can still be refunded, {minor} were asked for", intent.currency),
        },
    }
}

/// What can still be asked back.
fn left(progress: Progress) -> i64 {
    progress.captured_minor - progress.refunded_minor - progress.refunding_minor
}

/// An operator's refund is of what was asked for. A saga's is of what is left where less is left, once that is known.
fn share(progress: Progress, wanted: &Wanted) -> Share {
    let left = left(progress);
    let Some(minor) = wanted.amount.map(|amount| amount.minor_units) else { return Share::Minor(left) };
    let is_capped = wanted.asker.is_some() && progress.state == State::Succeeded && minor > left;
    match (is_capped, progress.refunding_minor, left) {
        (false, ..) => Share::Minor(minor),
        (true, 0, 0) => Share::Nothing,
        (true, 0, left) => Share::Minor(left),
        (true, ..) => Share::Undecided,
    }
}

/// Whether a reason can be stored and shown.
pub fn is_reason(text: &str) -> bool {
    text.chars().count() <= MAX_REASON_CHARS && !text.contains(char::is_control)
}

fn operation(wanted: &Wanted, amount_minor: i64) -> Operation {
    Operation {
        id: wanted.operation_id,
        intent_id: wanted.intent_id,
        kind: Kind::Refund,
        amount_minor,
        state: operation::State::Started,
        provider_reference: None,
        refusal: None,
        redirect_url: None,
        refund_id: Some(wanted.refund_id),
        reason: wanted.reason.clone(),
        asker: wanted.asker.clone(),
    }
}

/// Writes what is new. The intents are locked, so nobody can have changed them since they were read.
async fn save(
    conn: &mut PgConnection,
    started: &[Started],
    intents: &HashMap<Uuid, Intent>,
    first_ask_seconds: f64,
) -> anyhow::Result<()> {
    let new: Vec<&Pair> = started
        .iter()
        .filter_map(|started| match started {
            Started::New(pair) => Some(&**pair),
            Started::Before(_) | Started::Refused { .. } | Started::Waits | Started::AllBack(_) => None,
        })
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    insert(conn, &new, first_ask_seconds).await?;
    let legs: Vec<Vec<Leg>> = new.iter().map(|(one, _)| ledger::refund_started(one.id, one.amount_minor)).collect();
    let entries: Vec<(&Intent, &[Leg])> =
        new.iter().zip(&legs).map(|((_, intent), legs)| (intent, legs.as_slice())).collect();
    journal::book(conn, &entries).await?;
    let mut changed: Vec<&Intent> =
        intents.values().filter(|intent| new.iter().any(|(_, one)| one.id == intent.id)).collect();
    changed.sort_unstable_by_key(|intent| intent.id);
    store::save_intents(conn, &changed.into_iter().map(|intent| (intent, None)).collect::<Vec<_>>()).await
}

async fn insert(conn: &mut PgConnection, new: &[&Pair], first_ask_seconds: f64) -> Result<(), sqlx::Error> {
    let operations = || new.iter().map(|(operation, _)| operation);
    let askers = || operations().map(|operation| operation.asker.as_ref());
    sqlx::query(
        r"insert into payment_operation (operation_id, intent_id, account_id, livemode, kind, amount_minor, refund_id,
                                         reason, saga_id, step, direction, reply_to, attempt, ask_at)
          select j.operation_id, j.intent_id, j.account_id, j.livemode, 'refund', j.amount_minor, j.refund_id, j.reason,
                 j.saga_id, j.step, j.direction, j.reply_to, j.attempt, clock_timestamp() + make_interval(secs => $13)
          from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::bigint[], $6::uuid[], $7::text[],
                      $8::uuid[], $9::text[], $10::text[], $11::text[], $12::integer[])
               as j (operation_id, intent_id, account_id, livemode, amount_minor, refund_id, reason, saga_id, step,
                     direction, reply_to, attempt)
          order by j.operation_id",
    )
    .bind(operations().map(|operation| operation.id).collect::<Vec<_>>())
    .bind(operations().map(|operation| operation.intent_id).collect::<Vec<_>>())
    .bind(new.iter().map(|(_, intent)| intent.account.id).collect::<Vec<_>>())
    .bind(new.iter().map(|(_, intent)| intent.account.livemode).collect::<Vec<_>>())
    .bind(operations().map(|operation| operation.amount_minor).collect::<Vec<_>>())
    .bind(operations().map(|operation| operation.refund_id).collect::<Vec<_>>())
    .bind(operations().map(|operation| operation.reason.as_deref()).collect::<Vec<_>>())
    .bind(askers().map(|asker| asker.map(|asker| asker.key.saga_id)).collect::<Vec<_>>())
    .bind(askers().map(|asker| asker.map(|asker| asker.key.step.as_str())).collect::<Vec<_>>())
    .bind(askers().map(|asker| asker.map(|asker| asker.key.direction.as_str())).collect::<Vec<_>>())
    .bind(askers().map(|asker| asker.map(|asker| asker.reply_to.as_str())).collect::<Vec<_>>())
    .bind(askers().map(|asker| asker.map(|asker| i32::try_from(asker.attempt).unwrap_or(i32::MAX))).collect::<Vec<_>>())
    .bind(first_ask_seconds)
    .execute(conn)
    .await?;
    Ok(())
}
