//! Who calls: bearer API keys, kept as hashes in a file that is read again when it changes.

pub mod api_keys;
mod authorization;

pub use api_keys::ApiKeys;
use axum::extract::{FromRef, FromRequestParts};
use http::{StatusCode, request::Parts};
use makegood_contracts::account::Account;

use crate::{http::HttpContext, problem::Problem};

/// What a key may do. A publishable key has `Storefront` only; a secret key adds `Server`; an admin key `Admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Carts, checkouts, catalog and availability as a buyer's browser uses them.
    Storefront,
    /// Everything a shop's server does: products, stock, orders, own prices on cart lines.
    Server,
    /// Sagas, ledger, dead letters, invariants.
    Admin,
}

impl Scope {
    /// `Server` implies `Storefront`; `Admin` implies all.
    fn implies(self, wanted: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Server => wanted != Self::Admin,
            Self::Storefront => wanted == Self::Storefront,
        }
    }
}

/// The authenticated caller; an axum extractor (401 problem without a valid key).
#[derive(Debug, Clone)]
pub struct Caller {
    pub account: Account,
    /// First characters of the key and its name, for audit rows: never the key.
    pub actor: String,
    pub scopes: Vec<Scope>,
}

impl Caller {
    /// 403 unless the key has the scope. `Server` implies `Storefront`; `Admin` implies all.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.iter().any(|own| own.implies(scope)) {
            return Ok(());
        }
        let detail = format!("The key `{}` may not do this: it lacks the scope {scope:?}.", self.actor);
        Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail))
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    HttpContext: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let refuse = |detail| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail);
        let key = authorization::api_key(&parts.headers)
            .ok_or_else(|| refuse("Send an API key, as `Authorization: Bearer sk_…`."))?;
        let keys = HttpContext::from_ref(state).keys;
        keys.caller(&key).await.ok_or_else(|| refuse("There is no such API key, or it was withdrawn."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_imply_the_lesser_ones() {
        let caller = |scope| Caller {
            account: Account { id: uuid::Uuid::nil(), livemode: false },
            actor: String::new(),
            scopes: vec![scope],
        };
        let may = |own, wanted| caller(own).require(wanted).is_ok();
        assert!(may(Scope::Admin, Scope::Server) && may(Scope::Server, Scope::Storefront));
        assert!(!may(Scope::Storefront, Scope::Server) && !may(Scope::Server, Scope::Admin));
    }
}
