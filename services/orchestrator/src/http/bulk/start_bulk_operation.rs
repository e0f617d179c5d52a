//! `POST /v1/admin/sagas:bulk`: the same verb for every live saga that a filter means, or only their number.

use anyhow::Context as _;
use axum::{extract::State, response::Response};
use makegood_chassis::{
    auth::{Caller, Scope},
    idempotency::{self, Answer, Post},
    operator_reason::checked_reason,
    problem::Problem,
};
use makegood_contracts::id::BulkOperationId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Arguments as _, PgConnection, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::BulkOperation;
use crate::{
    definitions::Definitions,
    every_saga::every_saga,
    http::Admin,
    operation::Operation,
    saga_filter::{SagaFilter, Senseless, matches_filter},
};

/// Sagas a second, unless asked otherwise: a mended participant that was down should not be run over.
const DEFAULT_RATE: u16 = 100;
/// Faster than that, several operations at once are the better way.
const MAX_RATE: u16 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BulkAction {
    Retry,
    Skip,
    Compensate,
    Resolve,
    Pause,
    Resume,
    Cancel,
    Signal,
    Move,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartBulkOperation {
    action: BulkAction,
    /// At least one field. Only sagas that have not ended are meant.
    filter: SagaFilter,
    /// Why, for whoever reads the audit: 1 to 1,000 characters.
    reason: String,
    /// Only count; nothing is done.
    #[serde(default)]
    dry_run: bool,
    #[serde(default = "default_rate")]
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    rate_per_second: u16,
    /// For skip and resolve.
    step: Option<String>,
    /// For skip and resolve: what later steps read.
    output: Option<Value>,
    /// For signal.
    signal: Option<String>,
    /// For signal.
    payload: Option<Value>,
    /// For move.
    #[schema(minimum = 1)]
    version: Option<u32>,
}

const fn default_rate() -> u16 {
    DEFAULT_RATE
}

/// What a dry run answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DryRun {
    /// Sagas that the filter means now.
    matches: i64,
}

impl StartBulkOperation {
    /// The operation, if it has its fields and no others.
    fn operation(&self) -> Result<Operation, Problem> {
        self.refuse_foreign_fields()?;
        let missing = |field: &str| Problem::invalid(&format!("/{field}"), format!("this action needs `{field}`"));
        let step = || self.step.clone().ok_or_else(|| missing("step"));
        let output = || self.output.clone().unwrap_or_default();
        Ok(match self.action {
            BulkAction::Retry => Operation::Retry,
            BulkAction::Skip => Operation::Skip { step: step()?, output: output() },
            BulkAction::Compensate => Operation::Compensate,
            BulkAction::Resolve => Operation::Resolve { step: step()?, output: output() },
            BulkAction::Pause => Operation::Pause,
            BulkAction::Resume => Operation::Resume,
            BulkAction::Cancel => Operation::Cancel,
            BulkAction::Signal => Operation::Signal {
                signal: self.signal.clone().ok_or_else(|| missing("signal"))?,
                payload: self.payload.clone().unwrap_or_default(),
            },
            BulkAction::Move => Operation::Move { version: self.version.ok_or_else(|| missing("version"))? },
        })
    }

    fn refuse_foreign_fields(&self) -> Result<(), Problem> {
        let of_step = matches!(self.action, BulkAction::Skip | BulkAction::Resolve);
        let of_signal = self.action == BulkAction::Signal;
        for (field, is_given, belongs) in [
            ("step", self.step.is_some(), of_step),
            ("output", self.output.is_some(), of_step),
            ("signal", self.signal.is_some(), of_signal),
            ("payload", self.payload.is_some(), of_signal),
            ("version", self.version.is_some(), self.action == BulkAction::Move),
        ] {
            if is_given && !belongs {
                return Err(Problem::invalid(&format!("/{field}"), format!("`{field}` belongs to another action")));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Problem> {
        if self.filter.is_empty() {
            let detail = "name at least one field: `{\"state\": \"live\"}` means every saga that has not ended";
            return Err(Problem::invalid("/filter", detail));
        }
        self.filter.check().map_err(|Senseless { field, why }| Problem::invalid(&format!("/filter/{field}"), why))?;
        if !(1..=MAX_RATE).contains(&self.rate_per_second) {
            return Err(Problem::invalid("/rate_per_second", format!("`rate_per_second` is from 1 to {MAX_RATE}")));
        }
        Ok(())
    }
}

/// Does the same to every live saga that fits the filter, in the background, or counts them.
#[utoipa::path(post, path = "/v1/admin/sagas:bulk", tag = "sagas", request_body = StartBulkOperation,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = DryRun, description = "A dry run"), (status = 202, body = BulkOperation),
              (status = 422)))]
pub(crate) async fn start_bulk_operation(
    State(admin): State<Admin>,
    post: Post<StartBulkOperation>,
) -> Result<Response, Problem> {
    post.caller.require(Scope::Admin)?;
    let Post { caller, claim, body } = post;
    let reason = checked_reason(&body.reason)?;
    body.check()?;
    let operation = body.operation()?;
    let definitions = admin.definitions.current().await?;
    idempotency::once(&admin.http.db, claim.as_ref(), move |tx| {
        Box::pin(async move {
            // Planned with the filters at hand, so that the index that fits them is used.
            sqlx::query("set local plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
            if body.dry_run {
                let matches = count(tx, &body.filter, &caller, &definitions).await?;
                return Ok(Answer::json(http::StatusCode::OK, &DryRun { matches })?);
            }
            let id = Uuid::now_v7();
            let asked = Asked { id, operation: &operation, reason: &reason, body: &body, caller: &caller };
            asked.insert(tx, &definitions).await?;
            let started = super::find(&mut *tx, caller.account, id).await?;
            let location = format!("/v1/admin/bulk_operations/{}", BulkOperationId::from_uuid(id));
            Ok(Answer::json(http::StatusCode::ACCEPTED, &started)?.at(location))
        })
    })
    .await
}

async fn count(
    tx: &mut PgConnection,
    filter: &SagaFilter,
    caller: &Caller,
    definitions: &Definitions,
) -> anyhow::Result<i64> {
    let arguments = filter.arguments(caller.account, definitions)?;
    let sql = concat!("select count(*) from ", every_saga!(), " where ", matches_filter!(), " and finished_at is null");
    sqlx::query_scalar_with(sql, arguments).fetch_one(tx).await.context("counting the sagas of a filter")
}

struct Asked<'a> {
    id: Uuid,
    operation: &'a Operation,
    reason: &'a str,
    body: &'a StartBulkOperation,
    caller: &'a Caller,
}

impl Asked<'_> {
    /// Writes the operation with the sagas that match now: one that begins later is not meant.
    async fn insert(&self, tx: &mut PgConnection, definitions: &Definitions) -> anyhow::Result<()> {
        sqlx::query(
            r"insert into bulk_operation
                  (id, account_id, livemode, actor, reason, operation, filter, rate_per_second, matches)
              values ($1, $2, $3, $4, $5, $6, $7, $8, 0)",
        )
        .bind(self.id)
        .bind(self.caller.account.id)
        .bind(self.caller.account.livemode)
        .bind(&self.caller.actor)
        .bind(self.reason)
        .bind(Json(self.operation))
        .bind(Json(&self.body.filter))
        .bind(i32::from(self.body.rate_per_second))
        .execute(&mut *tx)
        .await
        .context("writing a bulk operation")?;
        let mut arguments = self.body.filter.arguments(self.caller.account, definitions)?;
        arguments.add(self.id).map_err(|error| anyhow::anyhow!(error).context("encoding a bulk operation"))?;
        let sql = concat!(
            r"with meant as (
                  insert into bulk_operation_saga (bulk_operation_id, saga_id)
                  select $16, id from ",
            every_saga!(),
            " where ",
            matches_filter!(),
            r" and finished_at is null
                  returning 1)
              update bulk_operation set matches = (select count(*) from meant) where id = $16"
        );
        sqlx::query_with(sql, arguments).execute(tx).await.context("writing the sagas of a bulk operation")?;
        Ok(())
    }
}
