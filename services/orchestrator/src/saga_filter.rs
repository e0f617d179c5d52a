//! Which sagas are meant: the fields that the list and bulk operations filter by, and their one condition in SQL.

use makegood_contracts::account::Account;
use makegood_saga::state::Condition;
use serde::{Deserialize, Serialize};
use sqlx::{Arguments as _, error::BoxDynError, postgres::PgArguments};
use utoipa::ToSchema;

use crate::{definitions::Definitions, stuck::StuckLimits};

/// A hundred years: older than any saga, and within what an interval of the database can be.
const MAX_AGE_SECONDS: i64 = 100 * 31_557_600;

/// Sagas that fit every field that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SagaFilter {
    /// running, waiting, compensating, finishing, paused, parked, completed, compensated; or `live` for all that have not
    /// ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) definition: Option<String>,
    /// Name of the current step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
    /// The order's id, `ord_…` (the saga's reference).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) customer: Option<String>,
    /// Only sagas begun at least so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3_155_760_000_u64)]
    pub(crate) min_age_seconds: Option<i64>,
    /// Only live sagas, neither parked nor paused, that have been at their step for longer than it should take. False is as if it
    /// were not named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<bool>,
}

/// A field that no saga can fit, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Senseless {
    pub(crate) field: &'static str,
    pub(crate) why: String,
}

/// The condition, with the parameters of [`SagaFilter::arguments`]; the statement around it goes on with `$16`.
macro_rules! matches_filter {
    () => {
        concat!(
            $crate::ownership::owned_by!("$1", "$2"),
            r" and ($3::text is null or ($3 = 'live' and finished_at is null) or state = $3)
               and ($4::text is null or definition = $4)
               and ($5::text is null or step = $5)
               and ($6::text is null or reference = $6)
               and ($7::text is null or customer = $7)
               and ($8::bigint is null or created_at <= now() - make_interval(secs => $8::double precision))
               and (not $9::boolean or ",
            $crate::stuck::is_stuck!("$10", "$11", "$12", "$13", "$14", "$15"),
            ")"
        )
    };
}
pub(crate) use matches_filter;

impl SagaFilter {
    /// Whether it names nothing, and so means every saga there is.
    pub(crate) fn is_empty(&self) -> bool {
        Self { stuck: self.stuck.filter(|stuck| *stuck), ..self.clone() } == Self::default()
    }

    pub(crate) fn check(&self) -> Result<(), Senseless> {
        let known = |state: &str| state == "live" || Condition::ALL.iter().any(|condition| condition.as_str() == state);
        if let Some(state) = self.state.as_deref().filter(|state| !known(state)) {
            return Err(Senseless { field: "state", why: format!("`{state}` is no state of a saga") });
        }
        if let Some(seconds) = self.min_age_seconds.filter(|seconds| !(0..=MAX_AGE_SECONDS).contains(seconds)) {
            let why = format!("`min_age_seconds` is from 0 to {MAX_AGE_SECONDS}, not {seconds}");
            return Err(Senseless { field: "min_age_seconds", why });
        }
        Ok(())
    }

    /// The parameters of [`matches_filter`], for the sagas of one account.
    pub(crate) fn arguments(&self, account: Account, definitions: &Definitions) -> anyhow::Result<PgArguments> {
        let limits = StuckLimits::of(definitions);
        let mut arguments = PgArguments::default();
        let encoding = |error: BoxDynError| anyhow::anyhow!(error).context("encoding a filter of sagas");
        arguments.add(account.id).map_err(encoding)?;
        arguments.add(account.livemode).map_err(encoding)?;
        arguments.add(self.state.clone()).map_err(encoding)?;
        arguments.add(self.definition.clone()).map_err(encoding)?;
        arguments.add(self.step.clone()).map_err(encoding)?;
        arguments.add(self.order.clone()).map_err(encoding)?;
        arguments.add(self.customer.clone()).map_err(encoding)?;
        arguments.add(self.min_age_seconds).map_err(encoding)?;
        arguments.add(self.stuck.unwrap_or(false)).map_err(encoding)?;
        arguments.add(limits.horizon_seconds).map_err(encoding)?;
        arguments.add(limits.definitions).map_err(encoding)?;
        arguments.add(limits.versions).map_err(encoding)?;
        arguments.add(limits.steps).map_err(encoding)?;
        arguments.add(limits.active_seconds).map_err(encoding)?;
        arguments.add(limits.waiting_seconds).map_err(encoding)?;
        Ok(arguments)
    }
}
