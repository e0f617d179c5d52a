//! Who speaks to the provider: a merchant with its secret key, which is not one of Makegood's API keys.

use axum::extract::FromRequestParts;
use http::{StatusCode, header, request::Parts};
use makegood_chassis::problem::Problem;
use subtle::ConstantTimeEq as _;

use super::SandboxHttp;

/// Proof that the request carries the merchants' key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Merchant;

impl FromRequestParts<SandboxHttp> for Merchant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SandboxHttp) -> Result<Self, Problem> {
        let given =
            parts.headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let key = state.config.sandbox_provider_key.as_ref();
        match (given, key) {
            (Some(given), Some(key)) if bool::from(given.ct_eq(key.expose().as_bytes())) => Ok(Self),
            _ => Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "Unauthorized",
                "The provider does not know this key.",
            )),
        }
    }
}
