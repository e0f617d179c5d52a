//! `GET /v1/admin/sagas/{id}/graph`: the saga's definition as a picture, coloured by how each step stands.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use makegood_chassis::{
    auth::{Caller, Scope},
    extract::Path,
    problem::Problem,
};
use makegood_saga::draw;

use super::Admin;
use crate::{every_saga::every_saga, ownership::owned_by, saga_store};

/// One saga as a graph: SVG, or a Mermaid flowchart for whoever accepts `text/plain`.
#[utoipa::path(get, path = "/v1/admin/sagas/{id}/graph", tag = "sagas",
    params(("id" = String, Path, description = "`sga_…`, or the `chk_…`, `cnl_…` or `ret_…` that it belongs to"), ("Accept" = Option<String>, Header)),
    responses((status = 200, description = "The graph", content((String = "image/svg+xml"), (String = "text/plain"))), (status = 404)))]
pub(crate) async fn get_graph(
    State(admin): State<Admin>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.require(Scope::Admin)?;
    let uuid = super::saga_id::parse(&id)?;
    let mut conn = admin.http.db.acquire().await?;
    let is_own: bool = sqlx::query_scalar(concat!(
        "select exists (select from ",
        every_saga!(),
        " where id = $1 and ",
        owned_by!("$2", "$3"),
        ")"
    ))
    .bind(uuid)
    .bind(caller.account.id)
    .bind(caller.account.livemode)
    .fetch_one(&mut *conn)
    .await?;
    if !is_own {
        return Err(admin.retention.no_saga(&id));
    }
    let definitions = admin.definitions.current().await?;
    let instance = saga_store::load(&mut conn, &definitions, &[uuid]).await?.remove(&uuid);
    let instance = instance.ok_or_else(|| admin.retention.no_saga(&id))?;
    if prefers_text(&headers) {
        let graph = draw::mermaid(&instance.definition, Some(&instance.state));
        return Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], graph).into_response());
    }
    let graph = draw::svg(&instance.definition, Some(&instance.state));
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], graph).into_response())
}

/// Whether plain text is accepted and a picture is not.
fn prefers_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accepted.contains("text/plain") && !accepted.contains("image/")
}
