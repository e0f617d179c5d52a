//! A checkout as its table has it, and the queries with several callers.

use std::collections::HashMap;

use makegood_contracts::{
    account::Account,
    money::{Money, MoneyError},
    order::Confirmation,
};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::checkout::Status;

/// The columns of [`CheckoutRow`], written out: `select *` would break prepared statements when a migration adds one.
macro_rules! checkout_columns {
    () => {
        "checkout.id, checkout.order_id, checkout.account_id, checkout.livemode, checkout.cart_id, checkout.status, \
         checkout.confirmed_in_call, checkout.confirmation, checkout.opened_total_minor, checkout.currency, \
         checkout.hold_expires_at, checkout.next_action, checkout.failure_code, checkout.failure_detail, \
         checkout.reference, checkout.token_hash, checkout.fingerprint, checkout.version, checkout.created_at, \
         checkout.decided_at"
    };
}
pub(crate) use checkout_columns;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct CheckoutRow {
    pub(crate) id: Uuid,
    pub(crate) order_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) livemode: bool,
    pub(crate) cart_id: Uuid,
    #[sqlx(try_from = "String")]
    pub(crate) status: Status,
    /// Confirmed by the call that opened it.
    pub(crate) confirmed_in_call: bool,
    pub(crate) confirmation: Option<Json<Confirmation>>,
    pub(crate) opened_total_minor: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) hold_expires_at: Option<OffsetDateTime>,
    pub(crate) next_action: Option<Value>,
    pub(crate) failure_code: Option<String>,
    pub(crate) failure_detail: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) token_hash: Vec<u8>,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) version: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) decided_at: Option<OffsetDateTime>,
}

impl CheckoutRow {
    pub(crate) fn account(&self) -> Account {
        Account { id: self.account_id, livemode: self.livemode }
    }

    /// The total at its opening; none before. An unknown currency means a damaged row.
    pub(crate) fn total(&self) -> Result<Option<Money>, MoneyError> {
        match (self.opened_total_minor, &self.currency) {
            (Some(minor_units), Some(currency)) => Money::from_columns(minor_units, currency).map(Some),
            (None, _) | (_, None) => Ok(None),
        }
    }

    /// Opened or decided: what the call that opened it is answered is settled.
    pub(crate) fn is_answered(&self) -> bool {
        self.hold_expires_at.is_some() || self.status.is_final()
    }

    /// Decided, or the buyer must act first: nothing more to wait for.
    pub(crate) fn is_settled(&self) -> bool {
        self.status.is_final() || self.status == Status::RequiresAction
    }
}

/// The checkout, if it is this account's.
pub(crate) async fn load(
    db: impl PgExecutor<'_>,
    account: Account,
    id: Uuid,
) -> Result<Option<CheckoutRow>, sqlx::Error> {
    sqlx::query_as(concat!(
        "select ",
        checkout_columns!(),
        " from checkout where id = $1 and account_id = $2 and livemode = $3"
    ))
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(db)
    .await
}

/// How those of the checkouts that exist stand. Nothing is asked when there are none to ask for.
pub(crate) async fn statuses(tx: &mut PgConnection, ids: &[Uuid]) -> anyhow::Result<HashMap<Uuid, Status>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select id, status from checkout where id = any($1)").bind(ids).fetch_all(tx).await?;
    rows.into_iter().map(|(id, status)| Ok((id, Status::try_from(status)?))).collect()
}
