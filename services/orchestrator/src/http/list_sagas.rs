//! `GET /v1/admin/sagas`: newest first, by state, definition, step, age, order and customer.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    page::Limit,
    problem::Problem,
};
use makegood_contracts::{account::Account, id::SagaId};
use makegood_saga::state::Condition;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Admin, ownership::owned_by};

/// A hundred years: older than any saga, and within what an interval of the database can be.
const MAX_AGE_SECONDS: i64 = 100 * 31_557_600;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// running, waiting, compensating, finishing, parked, completed, compensated; or `live` for all that have not ended.
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
    /// Sagas a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    after: Option<String>,
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
    pub(super) revision: i32,
    pub(super) age_seconds: i64,
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
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    finished_at: Option<OffsetDateTime>,
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
            revision: row.revision,
            age_seconds: row.age_seconds,
            created_at: row.created_at,
            updated_at: row.updated_at,
            finished_at: row.finished_at,
        }
    }
}

/// Lists sagas, newest first.
#[utoipa::path(get, path = "/v1/admin/sagas", tag = "sagas", params(Filter), responses((status = 200, body = SagaPage)))]
pub(crate) async fn list_sagas(
    State(admin): State<Admin>,
    caller: Caller,
    Query(filter): Query<Filter>,
) -> Result<Json<SagaPage>, Problem> {
    caller.require(Scope::Admin)?;
    let known = |state: &str| state == "live" || Condition::ALL.iter().any(|condition| condition.as_str() == state);
    if let Some(state) = filter.state.as_deref().filter(|state| !known(state)) {
        return Err(Problem::invalid("/state", format!("`{state}` is no state of a saga")));
    }
    if let Some(seconds) = filter.min_age_seconds.filter(|seconds| !(0..=MAX_AGE_SECONDS).contains(seconds)) {
        let detail = format!("`min_age_seconds` is from 0 to {MAX_AGE_SECONDS}, not {seconds}");
        return Err(Problem::new(http::StatusCode::BAD_REQUEST, "invalid-query", "Invalid query", detail));
    }
    let after = filter.after.as_deref().map(super::saga_id::parse).transpose()?;
    let mut rows = select(&admin.http.db, caller.account, &filter, after).await?;
    let next = filter.limit.cut(&mut rows, |last| SagaId::from_uuid(last.id).to_string());
    Ok(Json(SagaPage { data: rows.into_iter().map(SagaSummary::from).collect(), next }))
}

async fn select(
    db: &sqlx::PgPool,
    account: Account,
    filter: &Filter,
    after: Option<Uuid>,
) -> Result<Vec<SummaryRow>, sqlx::Error> {
    let mut tx = db.begin().await?;
    // Planned with the filters at hand, so that the index that fits them is used.
    sqlx::query("set local plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    let rows = sqlx::query_as(concat!(
        r"select id, definition, version, reference, customer, state, step, reason, revision,
                 extract(epoch from coalesce(finished_at, now()) - created_at)::bigint as age_seconds,
                 created_at, updated_at, finished_at
          from saga
          where ($1::text is null or state = $1 or ($1 = 'live' and finished_at is null))
            and ($1::text is null or $1 in ('completed', 'compensated') or finished_at is null)
            and ($2::text is null or definition = $2)
            and ($3::text is null or step = $3)
            and ($4::text is null or reference = $4)
            and ($5::text is null or customer = $5)
            and ($6::bigint is null or created_at <= now() - make_interval(secs => $6::double precision))
            and ($7::uuid is null or id < $7)
            and ",
        owned_by!("$9", "$10"),
        " order by id desc limit $8"
    ))
    .bind(&filter.state)
    .bind(&filter.definition)
    .bind(&filter.step)
    .bind(&filter.order)
    .bind(&filter.customer)
    .bind(filter.min_age_seconds)
    .bind(after)
    .bind(filter.limit.rows_to_read())
    .bind(account.id)
    .bind(account.livemode)
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(rows)
}
