//! `/sandbox/faults`: what goes wrong from now on.

use axum::{Json, extract::State};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract,
    problem::Problem,
};

use super::SandboxHttp;
use crate::faults::Faults;

/// The faults in force in this process.
#[utoipa::path(get, path = "/sandbox/faults", tag = "sandbox", responses((status = 200, body = Faults)))]
pub(super) async fn read_faults(State(state): State<SandboxHttp>, caller: Caller) -> Result<Json<Faults>, Problem> {
    caller.require(Scope::Admin)?;
    Ok(Json(state.faults.get()))
}

/// Puts these faults in force, in this process and until it ends; what is not named is zero.
#[utoipa::path(
    put, path = "/sandbox/faults", tag = "sandbox", request_body = Faults,
    responses((status = 200, body = Faults), (status = 422, description = "A field is out of its range"))
)]
pub(super) async fn put_faults(
    State(state): State<SandboxHttp>,
    caller: Caller,
    extract::Json(faults): extract::Json<Faults>,
) -> Result<Json<Faults>, Problem> {
    caller.require(Scope::Admin)?;
    if let Some(field) = faults.out_of_range() {
        return Err(Problem::invalid(&format!("/{field}"), "is out of its range"));
    }
    tracing::warn!(?faults, actor = caller.actor, "the sandbox misbehaves as told");
    state.faults.set(faults);
    Ok(Json(faults))
}
