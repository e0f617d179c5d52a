//! Intents and operations as they are read and written by more than one caller. Statements take whole batches.

use std::collections::HashMap;

use anyhow::Context as _;
use makegood_contracts::{
    account::Account,
    command::{Direction, StepKey},
    money::Money,
};
use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    intent::{Progress, State},
    operation::{self, Asker, Kind, Operation, Refusal},
};

/// An intent as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub id: Uuid,
    pub account: Account,
    pub order_id: Option<Uuid>,
    pub reference: Option<String>,
    pub currency: String,
    pub payment_method: String,
    pub authorization_id: Uuid,
    pub progress: Progress,
    pub version: i64,
}

impl Intent {
    pub fn money(&self, minor_units: i64) -> anyhow::Result<Money> {
        Money::from_columns(minor_units, &self.currency).with_context(|| format!("payment intent {}", self.id))
    }
}

impl FromRow<'_, PgRow> for Intent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: &str = row.try_get("intent_state")?;
        Ok(Self {
            id: row.try_get("id")?,
            account: Account { id: row.try_get("account_id")?, livemode: row.try_get("livemode")? },
            order_id: row.try_get("order_id")?,
            reference: row.try_get("reference")?,
            currency: row.try_get("currency")?,
            payment_method: row.try_get("payment_method")?,
            authorization_id: row.try_get("authorization_id")?,
            progress: Progress {
                state: State::parse(state).ok_or_else(|| unknown_word("intent state", state))?,
                amount_minor: row.try_get("intent_amount_minor")?,
                captured_minor: row.try_get("captured_minor")?,
                refunding_minor: row.try_get("refunding_minor")?,
                refunded_minor: row.try_get("refunded_minor")?,
            },
            version: row.try_get("version")?,
        })
    }
}

impl FromRow<'_, PgRow> for Operation {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (kind, state): (&str, &str) = (row.try_get("kind")?, row.try_get("state")?);
        let code: Option<String> = row.try_get("code")?;
        let decline_code: Option<String> = row.try_get("decline_code")?;
        Ok(Self {
            id: row.try_get("operation_id")?,
            intent_id: row.try_get("intent_id")?,
            kind: Kind::parse(kind).ok_or_else(|| unknown_word("operation kind", kind))?,
            amount_minor: row.try_get("amount_minor")?,
            state: operation::State::parse(state).ok_or_else(|| unknown_word("operation state", state))?,
            provider_reference: row.try_get("provider_reference")?,
            refusal: code.map(|code| Refusal { code, decline_code }),
            redirect_url: row.try_get("redirect_url")?,
            refund_id: row.try_get("refund_id")?,
            reason: row.try_get("reason")?,
            asker: asker(row)?,
        })
    }
}

fn asker(row: &PgRow) -> Result<Option<Asker>, sqlx::Error> {
    let Some(saga_id) = row.try_get::<Option<Uuid>, _>("saga_id")? else { return Ok(None) };
    let direction: &str = row.try_get("direction")?;
    let direction = Direction::parse(direction).ok_or_else(|| unknown_word("direction", direction))?;
    let attempt: i32 = row.try_get("attempt")?;
    Ok(Some(Asker {
        key: StepKey { saga_id, step: row.try_get("step")?, direction },
        reply_to: row.try_get("reply_to")?,
        attempt: attempt.unsigned_abs(),
    }))
}

/// A row of another build, or a damaged one: an error and not a default.
fn unknown_word(what: &str, word: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{word:?} is no {what}").into())
}

/// An operation with the intent that it belongs to.
pub type Pair = (Operation, Intent);

/// Operations with their intents, by the operation's id; ids that are not there are not in the answer.
pub async fn operations(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Pair>, sqlx::Error> {
    let rows = operation_rows(conn, ids).await?;
    rows.iter().map(pair).map(|pair| pair.map(|pair| (pair.0.id, pair))).collect()
}

/// The same, for whoever goes through operations of all payments: a row that cannot be read is logged and left out.
pub async fn readable_operations(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Pair>, sqlx::Error> {
    let rows = operation_rows(conn, ids).await?;
    let readable = rows.iter().filter_map(|row| {
        let pair = pair(row);
        if let Err(error) = &pair {
            // Its id may be what cannot be read: then the log says none, beside the error.
            let id = row.try_get::<Uuid, _>("operation_id").ok();
            tracing::error!(operation_id = ?id, %error, "an operation cannot be read; nobody asks about it");
        }
        pair.ok()
    });
    Ok(readable.collect())
}

fn pair(row: &PgRow) -> Result<Pair, sqlx::Error> {
    Ok((Operation::from_row(row)?, Intent::from_row(row)?))
}

async fn operation_rows(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(
        r"select o.operation_id, o.intent_id, o.kind, o.amount_minor, o.state, o.provider_reference, o.code,
                 o.decline_code, o.redirect_url, o.refund_id, o.reason, o.saga_id, o.step, o.direction, o.reply_to,
                 o.attempt, i.id, i.account_id, i.livemode, i.order_id, i.reference, i.currency, i.payment_method,
                 i.authorization_id, i.state as intent_state, i.amount_minor as intent_amount_minor,
                 i.captured_minor, i.refunding_minor, i.refunded_minor, i.version
          from payment_operation o join payment_intent i on i.id = o.intent_id
          where o.operation_id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await
}

/// Intents by id, locked in the order of their ids until the transaction ends.
pub async fn lock_intents(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Intent>, sqlx::Error> {
    let intents: Vec<Intent> = sqlx::query_as(
        r"select id, account_id, livemode, order_id, reference, currency, payment_method, authorization_id,
                 state as intent_state, amount_minor as intent_amount_minor, captured_minor, refunding_minor,
                 refunded_minor, version
          from payment_intent where id = any($1) order by id for no key update",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(intents.into_iter().map(|intent| (intent.id, intent)).collect())
}

/// Someone else changed a row meanwhile; nothing may be written that was decided from what it was.
#[derive(Debug, thiserror::Error)]
#[error("a payment was changed by another transaction")]
pub struct Changed;

/// Writes how far intents have come, each only if it is still at the version it was read at. To be called last before
/// COMMIT: these are the rows that concurrent work waits for.
pub async fn save_intents(conn: &mut PgConnection, changed: &[(&Intent, Option<&Refusal>)]) -> anyhow::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let progress =
        |pick: fn(&Progress) -> i64| -> Vec<i64> { changed.iter().map(|(intent, _)| pick(&intent.progress)).collect() };
    let errors: Vec<_> =
        changed.iter().map(|(_, error)| error.map(serde_json::to_value).transpose()).collect::<Result<_, _>>()?;
    let written = sqlx::query(
        r"update payment_intent i
          set state = s.state, captured_minor = s.captured_minor, refunding_minor = s.refunding_minor,
              refunded_minor = s.refunded_minor, last_error = coalesce(s.last_error, i.last_error),
              version = i.version + 1, updated_at = now()
          from unnest($1::uuid[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::jsonb[])
               as s (id, version, state, captured_minor, refunding_minor, refunded_minor, last_error)
          where i.id = s.id and i.version = s.version",
    )
    .bind(changed.iter().map(|(intent, _)| intent.id).collect::<Vec<_>>())
    .bind(changed.iter().map(|(intent, _)| intent.version).collect::<Vec<_>>())
    .bind(changed.iter().map(|(intent, _)| intent.progress.state.as_str()).collect::<Vec<_>>())
    .bind(progress(|progress| progress.captured_minor))
    .bind(progress(|progress| progress.refunding_minor))
    .bind(progress(|progress| progress.refunded_minor))
    .bind(errors)
    .execute(conn)
    .await?
    .rows_affected();
    if written == changed.len() as u64 { Ok(()) } else { Err(Changed.into()) }
}
