//! `/openapi.json`, merged from what the roles served here say of themselves, and `/docs`, a page to try it.

use anyhow::{Context, Result};
use axum::{Router, http::header, response::Html, routing::get};
use makegood_messaging::dead_letter;
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, SecurityRequirement, ServerBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::api_problems;
use crate::roles::Role;

/// Self-contained: it loads nothing but /openapi.json, so it works without a network.
const DOCS_PAGE: &str = include_str!("docs.html");
const SECURITY_SCHEME: &str = "api_key";

const DESCRIPTION: &str = "Orders run as sagas: every order completes, or everything it did is made good.\n\
    Money is a decimal string with its currency; errors are RFC 9457 problem documents; a POST with an Idempotency-Key takes effect once \
    and answers every repetition alike.";

/// The two routes, described for exactly these roles.
pub(crate) fn router(roles: &[Role]) -> Result<Router> {
    let json = describe(roles).to_json().context("writing the OpenAPI document")?;
    let openapi = get(async move || ([(header::CONTENT_TYPE, "application/json")], json));
    Ok(Router::new().route("/openapi.json", openapi).route("/docs", get(async || Html(DOCS_PAGE))))
}

fn describe(roles: &[Role]) -> OpenApi {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key: publishable (pk_…), secret (sk_…) or admin (ak_…)."))
        .build();
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new()
        .title("Makegood")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license))
        .build();
    let mut document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .components(Some(
            ComponentsBuilder::new().security_scheme(SECURITY_SCHEME, SecurityScheme::Http(scheme)).build(),
        ))
        .security(Some([SecurityRequirement::new(SECURITY_SCHEME, Vec::<String>::new())]))
        .build();
    for role in roles {
        document.merge(role.openapi());
    }
    if roles.iter().any(|role| role.migrator().is_some()) {
        document.merge(dead_letter::http::openapi());
    }
    api_problems::describe(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_openapi_3_1_and_knows_the_bearer_scheme_and_every_roles_paths() {
        let document = serde_json::to_value(describe(&Role::ALL)).expect("serializes");
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["components"]["securitySchemes"][SECURITY_SCHEME]["scheme"], "bearer");
        for path in [
            "/v1/carts",
            "/v1/checkouts",
            "/v1/admin/sagas/{id}",
            "/v1/availability/{sku}",
            "/v1/admin/dead_letters/{service}",
        ] {
            assert!(document["paths"].get(path).is_some(), "{path} is not described");
        }
    }

    /// As the Gateway API matches: a prefix ends at a slash or at the path's end.
    #[test]
    fn on_kubernetes_every_path_leads_to_the_role_that_serves_it() {
        let route = include_str!("../../../../k8s/base/route.yaml");
        let route: serde_json::Value = serde_saphyr::from_str(route).expect("it is YAML");
        let leads_to = |path: &str| {
            let rules = route["spec"]["rules"].as_array().expect("rules");
            let serves = |rule: &&serde_json::Value| {
                rule["matches"].as_array().expect("matches").iter().any(|one| {
                    let value = one["path"]["value"].as_str().expect("a path");
                    match path.strip_prefix(value) {
                        Some(rest) if one["path"]["type"] == "PathPrefix" => rest.is_empty() || rest.starts_with('/'),
                        rest => rest == Some(""),
                    }
                })
            };
            let names = rules.iter().filter(serves).map(|rule| rule["backendRefs"][0]["name"].clone());
            names.collect::<Vec<_>>()
        };
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Sandbox) {
            let mut paths: Vec<String> = role.openapi().paths.paths.into_keys().collect();
            assert!(!paths.is_empty(), "{} describes none", role.name());
            paths.extend(role.migrator().map(|_| format!("/v1/admin/dead_letters/{}", role.name())));
            for path in paths {
                assert_eq!(leads_to(&path), [role.name()], "{path}");
            }
        }
    }

    /// Roles are described apart and merged: of two schemas of one name the second would be lost.
    #[test]
    fn one_name_is_one_schema() {
        let mut known = std::collections::HashMap::new();
        for role in Role::ALL {
            // A role without components has no schemas.
            for (name, schema) in role.openapi().components.map(|components| components.schemas).unwrap_or_default() {
                let schema = serde_json::to_value(schema).expect("serializes");
                let first = known.entry(name.clone()).or_insert_with(|| (role, schema.clone()));
                assert_eq!(first.1, schema, "{name}, of {} and of {}", first.0.name(), role.name());
            }
        }
    }

    #[test]
    fn every_post_of_ours_names_its_key_and_no_parameter_contradicts_itself() {
        let document = serde_json::to_value(describe(&Role::ALL)).expect("serializes");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                // An operation may have none.
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                assert!(parameters.iter().all(|one| one["schema"].get("allOf").is_none()), "{method} {path}");
                let has_key = parameters.iter().any(|one| one["name"] == "Idempotency-Key");
                // What the outside world offers and sends knows other keys.
                let is_ours = path.starts_with("/v1/");
                assert!(has_key || !is_ours || method != "post" || path.ends_with("/callbacks"), "{method} {path}");
            }
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_every_answer_what_3_1_asks_for() {
        let document = serde_json::to_value(describe(&Role::ALL)).expect("serializes");
        let mut names = std::collections::HashSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let name = operation["operationId"].as_str().unwrap_or_default();
                assert!(!name.is_empty() && names.insert(name.to_owned()), "{method} {path} is called `{name}`");
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
                for (status, answer) in operation["responses"].as_object().expect("answers") {
                    let told = answer["description"].as_str().unwrap_or_default();
                    let is_refusal = !status.starts_with(['2', '3']);
                    let is_problem = answer["content"].get("application/problem+json").is_some();
                    assert!(!told.is_empty() && is_problem == is_refusal, "{method} {path} {status}: {answer}");
                }
            }
        }
    }
}
