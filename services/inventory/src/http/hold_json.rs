//! A hold as operators see it.

use makegood_chassis::problem::Problem;
use makegood_contracts::{
    account::Account,
    id::{CheckoutId, SagaId},
};
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct HoldJson {
    #[schema(value_type = String, example = "chk_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    checkout_id: CheckoutId,
    /// `held`, `allocated`, `committed`, `released` or `expired`.
    state: String,
    /// The end of the time for which it is held; null once it has no such end.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    lines: Vec<HoldLine>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    changed_at: OffsetDateTime,
    /// Who ended it by hand; null where its saga did, or nobody has yet.
    ended_by: Option<EndedBy>,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
struct HoldLine {
    sku: String,
    warehouse: String,
    quantity: i64,
}

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
struct EndedBy {
    actor: String,
    reason: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    expires_at: Option<OffsetDateTime>,
    lines: Json<Vec<HoldLine>>,
    created_at: OffsetDateTime,
    changed_at: OffsetDateTime,
    ended_by: Option<Json<EndedBy>>,
}

/// The id in the path: of the checkout, or of its saga, which is the same UUID, and the hold's as well.
pub(super) fn parse(text: &str) -> Result<Uuid, Problem> {
    let checkout = text.parse::<CheckoutId>().map(|id| id.uuid());
    checkout.or_else(|_| text.parse::<SagaId>().map(|id| id.uuid())).map_err(|_| Problem::not_found("hold", text))
}

/// An account's hold. Another account's is not there.
pub(super) async fn find(executor: impl PgExecutor<'_>, account: Account, id: Uuid) -> Result<HoldJson, Problem> {
    let row: Option<Row> = sqlx::query_as(
        r"
        select h.state, h.expires_at, h.created_at, h.changed_at,
               (select jsonb_agg(jsonb_build_object('sku', l.sku, 'warehouse', w.code, 'quantity', l.quantity) order by l.sku, w.code)
                from unnest(h.skus, h.warehouse_ids, h.quantities) as l (sku, warehouse_id, quantity)
                join warehouse w on w.id = l.warehouse_id) as lines,
               (select jsonb_build_object('actor', e.actor, 'reason', e.reason) from hold_ending e where e.hold_id = h.id) as ended_by
        from hold h
        where h.id = $1 and h.account_id = $2 and h.livemode = $3
        ",
    )
    .bind(id)
    .bind(account.id)
    .bind(account.livemode)
    .fetch_optional(executor)
    .await?;
    let checkout_id = CheckoutId::from_uuid(id);
    let Row { state, expires_at, lines: Json(lines), created_at, changed_at, ended_by } =
        row.ok_or_else(|| Problem::not_found("hold", checkout_id))?;
    let ended_by = ended_by.map(|Json(ended_by)| ended_by);
    Ok(HoldJson { checkout_id, state, expires_at, lines, created_at, changed_at, ended_by })
}
