//! The auditor: it reads every service's books, and says which promise is broken and where.
//!
//! It is the one part that may look into more than one database, with a role that can only read. Each service brings
//! the promises that its own database can be asked about; those that hold *between* services are here: [`checks`] lists
//! them, each two ordered streams of ids ([`side`]), walked at once ([`merge_join`]) by a pure judge. [`audit`] runs
//! all of it. Sagas run meanwhile, so what looks wrong is looked at again before it is told.
//!
//! Nothing here repairs anything.

mod databases;
mod report;

mod merge_join;
mod side;

mod checks;

mod audit;
mod suspects;

mod shared_audit;

mod http;

pub use audit::Auditor;
pub use report::{CheckResult, Report, Violation};

use makegood_chassis::{http::HttpContext, invariant::Invariant};

/// What one service promises of its own database.
#[derive(Debug, Clone, Copy)]
pub struct ServicePromises {
    /// As in `makegood_<service>`.
    pub service: &'static str,
    pub invariants: &'static [Invariant],
}

/// `GET /v1/admin/invariants`.
pub fn router(context: HttpContext, auditor: Auditor) -> axum::Router {
    http::router(context, auditor)
}

/// The OpenAPI description of [`router`].
pub fn openapi() -> utoipa::openapi::OpenApi {
    http::openapi()
}
