//! `GET /v1/admin/dead_letters/{service}`: newest first.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Query,
    http::HttpContext,
    page::{After, Limit},
    problem::Problem,
};
use makegood_contracts::id::DeadLetterId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::letter_json::{DeadLetterSummary, SummaryRow, summary_columns};

/// Which letters are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Which {
    /// Those that were not sent again yet, and not let go.
    #[default]
    Open,
    Resolved,
    All,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDeadLetters {
    /// `open`, `resolved` or `all`; `open` unless it is said.
    #[serde(default)]
    #[param(inline)]
    state: Which,
    /// The subject in full, such as `cmd.inventory.hold_stock.v1`.
    subject: Option<String>,
    /// Letters a page.
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit<50, 200>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<After<DeadLetterId>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetterPage {
    data: Vec<DeadLetterSummary>,
    /// Cursor of the next page; null on the last.
    next: Option<String>,
}

/// Lists a service's dead letters, newest first.
#[utoipa::path(get, path = "/v1/admin/dead_letters/{service}", tag = "dead letters",
    params(("service" = String, Path, description = "The role whose letters they are, such as `inventory`"), ListDeadLetters),
    responses((status = 200, body = DeadLetterPage), (status = 404)))]
pub(crate) async fn list_dead_letters(
    State(http): State<HttpContext>,
    caller: Caller,
    Query(query): Query<ListDeadLetters>,
) -> Result<Json<DeadLetterPage>, Problem> {
    caller.require(Scope::Admin)?;
    let mut rows: Vec<SummaryRow> = sqlx::query_as(concat!(
        "select ",
        summary_columns!(),
        r" from dead_letter
           where ($1::boolean is null or (resolved_at is not null) = $1)
             and ($2::text is null or subject = $2)
             and ($3::uuid is null or id < $3)
           order by id desc limit $4"
    ))
    .bind(match query.state {
        Which::Open => Some(false),
        Which::Resolved => Some(true),
        Which::All => None,
    })
    .bind(&query.subject)
    .bind(query.after.map(|After(last)| last.uuid()))
    .bind(query.limit.rows_to_read())
    .fetch_all(&http.db)
    .await?;
    let next = query.limit.cut(&mut rows, |last| DeadLetterId::from_uuid(last.id).to_string());
    Ok(Json(DeadLetterPage { data: rows.into_iter().map(DeadLetterSummary::from).collect(), next }))
}
