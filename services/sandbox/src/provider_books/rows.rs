//! The statements behind the books; each takes a whole batch.

use std::collections::HashMap;

use sqlx::{FromRow, PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

use super::Operation;
use crate::charge::{Authorization, Charge, State};

pub(super) async fn operations(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Operation>, sqlx::Error> {
    let operations: Vec<Operation> = sqlx::query_as(
        r"select operation_id, kind, authorization_id, status, amount_minor, currency, provider_reference, code,
                 decline_code, content_hash
          from provider_operation where operation_id = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(operations.into_iter().map(|operation| (operation.operation_id, operation)).collect())
}

impl FromRow<'_, PgRow> for Charge {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: &str = row.try_get("state")?;
        Ok(Self {
            authorization_id: row.try_get("authorization_id")?,
            authorization: authorization(row)?,
            state: State::parse(state)
                .ok_or_else(|| sqlx::Error::Decode(format!("{state:?} is no charge state").into()))?,
            authorized_minor: row.try_get("authorized_minor")?,
            captured_minor: row.try_get("captured_minor")?,
            refunded_minor: row.try_get("refunded_minor")?,
            voided_minor: row.try_get("voided_minor")?,
        })
    }
}

fn authorization(row: &PgRow) -> Result<Option<Authorization>, sqlx::Error> {
    let Some(merchant) = row.try_get("merchant")? else { return Ok(None) };
    Ok(Some(Authorization {
        merchant,
        amount_minor: row.try_get("amount_minor")?,
        currency: row.try_get("currency")?,
        payment_method: row.try_get("payment_method")?,
        order_id: row.try_get("order_id")?,
        reference: row.try_get("reference")?,
    }))
}

/// Charges by their authorization, locked in that order until the transaction ends.
pub(super) async fn lock_charges(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Charge>, sqlx::Error> {
    let charges: Vec<Charge> = sqlx::query_as(
        r"select authorization_id, merchant, order_id, reference, payment_method, currency, state, amount_minor,
                 authorized_minor, captured_minor, refunded_minor, voided_minor
          from charge where authorization_id = any($1) order by authorization_id for no key update",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(charges.into_iter().map(|charge| (charge.authorization_id, charge)).collect())
}

pub(super) async fn insert_operations(conn: &mut PgConnection, new: &[Operation]) -> Result<(), sqlx::Error> {
    sqlx::query(
        r"insert into provider_operation (operation_id, kind, authorization_id, content_hash, amount_minor, currency, status,
                                          code, decline_code, provider_reference, decided_at)
          select o.*, case when o.status <> 'requires_action' then now() end
          from unnest($1::uuid[], $2::text[], $3::uuid[], $4::bytea[], $5::bigint[], $6::text[], $7::text[], $8::text[],
                      $9::text[], $10::text[])
               as o (operation_id, kind, authorization_id, content_hash, amount_minor, currency, status, code,
                     decline_code, provider_reference)",
    )
    .bind(new.iter().map(|operation| operation.operation_id).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.kind.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.authorization_id).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.content_hash.as_slice()).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.amount_minor).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.currency.as_deref()).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.status.as_str()).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.code.as_deref()).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.decline_code.as_deref()).collect::<Vec<_>>())
    .bind(new.iter().map(|operation| operation.provider_reference.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes charges that were not there. One that another process made meanwhile fails on its primary key.
pub(super) async fn insert_charges(conn: &mut PgConnection, charges: &[&Charge]) -> Result<(), sqlx::Error> {
    if charges.is_empty() {
        return Ok(());
    }
    let asked = |pick: fn(&Authorization) -> Option<&str>| -> Vec<Option<&str>> {
        charges.iter().map(|charge| charge.authorization.as_ref().and_then(pick)).collect()
    };
    let amount = |charge: &Charge| charge.authorization.as_ref().map_or(0, |authorization| authorization.amount_minor);
    sqlx::query(
        r"insert into charge (authorization_id, merchant, order_id, reference, payment_method, currency, amount_minor, state,
                              authorized_minor, captured_minor, refunded_minor, voided_minor)
          select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[],
                               $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])",
    )
    .bind(charges.iter().map(|charge| charge.authorization_id).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.authorization.as_ref().map(|asked| asked.merchant)).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.authorization.as_ref().and_then(|asked| asked.order_id)).collect::<Vec<_>>())
    .bind(asked(|authorization| authorization.reference.as_deref()))
    .bind(asked(|authorization| Some(&authorization.payment_method)))
    .bind(asked(|authorization| Some(&authorization.currency)))
    .bind(charges.iter().map(|charge| amount(charge)).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.state.as_str()).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.authorized_minor).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.captured_minor).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.refunded_minor).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.voided_minor).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what has become of charges that this transaction has locked.
pub(super) async fn update_charges(conn: &mut PgConnection, charges: &[&Charge]) -> Result<(), sqlx::Error> {
    if charges.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"update charge c
          set state = s.state, authorized_minor = s.authorized_minor, captured_minor = s.captured_minor,
              refunded_minor = s.refunded_minor, voided_minor = s.voided_minor
          from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
               as s (authorization_id, state, authorized_minor, captured_minor, refunded_minor, voided_minor)
          where c.authorization_id = s.authorization_id",
    )
    .bind(charges.iter().map(|charge| charge.authorization_id).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.state.as_str()).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.authorized_minor).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.captured_minor).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.refunded_minor).collect::<Vec<_>>())
    .bind(charges.iter().map(|charge| charge.voided_minor).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Authorizations that waited for the buyer and were voided: nobody waits any more.
pub(super) async fn end_challenges(conn: &mut PgConnection, operation_ids: &[Uuid]) -> Result<(), sqlx::Error> {
    if operation_ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        r"update provider_operation set status = 'declined', code = 'voided', decided_at = now()
          where operation_id = any($1) and status = 'requires_action'",
    )
    .bind(operation_ids)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn decide_challenge(
    conn: &mut PgConnection,
    operation_id: Uuid,
    status: &str,
    code: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query("update provider_operation set status = $2, code = $3, decided_at = now() where operation_id = $1")
        .bind(operation_id)
        .bind(status)
        .bind(code)
        .execute(conn)
        .await?;
    Ok(())
}
