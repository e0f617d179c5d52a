//! `GET /v1/admin/sagas`: newest first, by state, definition, step, age, order and customer.

use anyhow::Context as _;
use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::id::SagaId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Arguments as _, error::BoxDynError, postgres::PgArguments};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Admin;
use crate::{
    definitions::Definitions,
    every_saga::every_saga,
    saga_filter::{SagaFilter, Senseless, matches_filter},
    trouble::{self, Trouble},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSagas {
    /// running, waiting, compensating, finishing, paused, parked, completed, compensated; or `live` for all that have not ended.
    state: Option<String>,
    definition: Option<String>,
    /// Name of the current step.
    step: Option<String>,
    /// The order's id, `ord_…` (the saga's reference).
    order: Option<String>,
    customer: Option<String>,
    /// Only sagas begun at least so many seconds ago.
    #[param(minimum = 0, maximum = 3_155_760_000_u64)]
    min_age_seconds: Option<i64>,
    /// Only live sagas, neither parked nor paused, that have been at their step for longer than it should take.
    stuck: Option<bool>,
    /// Sagas a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<SagaId>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SagaPage {
    data: Vec<SagaSummary>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SagaSummary {
    #[schema(example = "sga_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")]
    pub(super) id: String,
    pub(super) definition: String,
    pub(super) version: i32,
    /// The order that it is about.
    pub(super) reference: String,
    pub(super) customer: Option<String>,
    pub(super) state: String,
    /// The current step; null once ended.
    pub(super) step: Option<String>,
    /// Why it was undone, or why it is parked.
    pub(super) reason: Option<Value>,
    /// What keeps a live saga at its step, which is neither parked nor paused; null where nothing is known to be wrong.
    pub(super) trouble: Option<Trouble>,
    pub(super) revision: i32,
    /// Since it began; of one that has ended, how long it took.
    pub(super) age_seconds: i64,
    /// How long it has been at its current step; null once ended.
    pub(super) step_seconds: Option<i64>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    pub(super) created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String)]
    pub(super) updated_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>)]
    pub(super) finished_at: Option<OffsetDateTime>,
}

#[derive(sqlx::FromRow)]
pub(super) struct SummaryRow {
    pub(super) id: Uuid,
    definition: String,
    version: i32,
    reference: String,
    customer: Option<String>,
    state: String,
    step: Option<String>,
    reason: Option<Value>,
    pub(super) revision: i32,
    age_seconds: i64,
    step_seconds: Option<i64>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    finished_at: Option<OffsetDateTime>,
}

/// The columns of [`SummaryRow`].
macro_rules! summary_columns {
    () => {
        r"id, definition, version, reference, customer, state, step, reason, revision,
          extract(epoch from coalesce(finished_at, now()) - created_at)::bigint as age_seconds,
          case when finished_at is null then extract(epoch from now() - step_since)::bigint end as step_seconds,
          created_at, updated_at, finished_at"
    };
}
pub(super) use summary_columns;

impl ListSagas {
    fn filter(&self) -> SagaFilter {
        SagaFilter {
            state: self.state.clone(),
            definition: self.definition.clone(),
            step: self.step.clone(),
            order: self.order.clone(),
            customer: self.customer.clone(),
            min_age_seconds: self.min_age_seconds,
            stuck: self.stuck,
        }
    }
}

impl SagaSummary {
    /// Whether it goes on by itself.
    pub(super) fn is_at_work(&self) -> bool {
        self.finished_at.is_none() && !matches!(self.state.as_str(), "parked" | "paused")
    }
}

impl From<SummaryRow> for SagaSummary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: SagaId::from_uuid(row.id).to_string(),
            definition: row.definition,
            version: row.version,
            reference: row.reference,
            customer: row.customer,
            state: row.state,
            step: row.step,
            reason: row.reason,
            trouble: None,
            revision: row.revision,
            age_seconds: row.age_seconds,
            step_seconds: row.step_seconds,
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
        }
    }
}

/// Lists sagas, newest first.
#[utoipa::path(get, path = "/v1/admin/sagas", tag = "sagas", params(ListSagas), responses((status = 200, body = SagaPage)))]
pub(crate) async fn list_sagas(
    State(admin): State<Admin>,
    caller: Caller,
    Query(query): Query<ListSagas>,
) -> Result<Json<SagaPage>, Problem> {
    caller.require(Scope::Admin)?;
    let filter = query.filter();
    filter.check().map_err(|Senseless { field, why }| match field {
        "state" => Problem::invalid("/state", why),
        _ => Problem::new(http::StatusCode::BAD_REQUEST, "invalid-query", "Invalid query", why),
    })?;
    let after = query.after.map(|After(last)| last.uuid());
    let definitions = admin.definitions.current().await?;
    let arguments = filter.arguments(caller.account, &definitions)?;
    let mut rows = select(&admin.http.db, arguments, after, query.limit.rows_to_read()).await?;
    let next = query.limit.cut(&mut rows, |last| SagaId::from_uuid(last.id).to_string());
    let mut data: Vec<SagaSummary> = rows.into_iter().map(SagaSummary::from).collect();
    tell_trouble(&admin.http.db, &definitions, &mut data).await?;
    Ok(Json(SagaPage { data, next }))
}

/// Of those that are at work; why the others stand, their reason says.
async fn tell_trouble(db: &sqlx::PgPool, definitions: &Definitions, sagas: &mut [SagaSummary]) -> anyhow::Result<()> {
    let at_work = |saga: &SagaSummary| saga.is_at_work().then(|| saga.id.parse::<SagaId>().ok()).flatten();
    let ids: Vec<Uuid> = sagas.iter().filter_map(at_work).map(|id| id.uuid()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut conn = db.acquire().await?;
    let mut troubles = trouble::of_sagas(&mut conn, definitions, &ids).await?;
    for saga in sagas {
        saga.trouble = at_work(saga).and_then(|id| troubles.remove(&id.uuid()));
    }
    Ok(())
}

async fn select(
    db: &sqlx::PgPool,
    mut arguments: PgArguments,
    after: Option<Uuid>,
    rows: i64,
) -> anyhow::Result<Vec<SummaryRow>> {
    let encoding = |error: BoxDynError| anyhow::anyhow!(error).context("encoding a page of sagas");
    arguments.add(after).map_err(encoding)?;
    arguments.add(rows).map_err(encoding)?;
    let mut tx = db.begin().await?;
    // Planned with the filters at hand, so that the index that fits them is used.
    sqlx::query("set local plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    let sql = concat!(
        "select ",
        summary_columns!(),
        " from ",
        every_saga!(),
        " where ",
        matches_filter!(),
        " and ($16::uuid is null or id < $16) order by id desc limit $17"
    );
    let rows = sqlx::query_as_with(sql, arguments).fetch_all(&mut *tx).await.context("listing sagas")?;
    tx.commit().await?;
    Ok(rows)
}
