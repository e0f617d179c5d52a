//! Writes transfers: one statement for a whole batch, in the transaction of the operations that book them.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Code, Leg, account_id};
use crate::store::Intent;

/// One leg with its place: the legs that one operation books at once are one txn.
struct Row<'a> {
    txn_id: Uuid,
    seq: i16,
    intent: &'a Intent,
    leg: &'a Leg,
}

/// Books each operation's legs. A leg that was booked before fails on its primary key, and with it the batch.
pub async fn book(conn: &mut PgConnection, entries: &[(&Intent, &[Leg])]) -> Result<(), sqlx::Error> {
    let rows: Vec<Row<'_>> = entries
        .iter()
        .flat_map(|(intent, legs)| {
            let txn_id = Uuid::now_v7();
            (0_i16..).zip(legs.iter()).map(move |(seq, leg)| Row { txn_id, seq, intent, leg })
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    insert(conn, &rows).await
}

async fn insert(conn: &mut PgConnection, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    let account = |row: &Row<'_>, code: Code| account_id(row.intent.account, code, &row.intent.currency);
    sqlx::query(
        r"insert into transfer (id, txn_id, seq, account_id, livemode, debit_account, credit_account, currency,
                                amount_minor, kind, pending_id, code, operation_id, intent_id, order_id, reference)
          select * from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::uuid[], $5::boolean[], $6::uuid[],
                               $7::uuid[], $8::text[], $9::bigint[], $10::text[], $11::uuid[], $12::text[],
                               $13::uuid[], $14::uuid[], $15::uuid[], $16::text[])",
    )
    .bind(rows.iter().map(|row| row.leg.id()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.txn_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.seq).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.intent.account.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.intent.account.livemode).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| account(row, row.leg.debit)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| account(row, row.leg.credit)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.intent.currency.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.leg.amount_minor).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.leg.kind.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.leg.pending_id()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.leg.flow).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.leg.operation_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.intent.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.intent.order_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.intent.reference.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
