//! Answers of what is behind Grafana: none of them is about the caller's credential.

use super::super::reason::Reason;
use super::body::{Body, QueryRefusal};
use super::{Case, Finding, marks};

/// A 401, 403 or 429 that a datasource or a plugin's backend made and Grafana passed on.
pub(super) fn passed_on(case: &Case<'_>) -> Option<Finding> {
    let because = if marks::passed_on(case.headers) {
        "Grafana's datasource proxy marked the answer as passed on"
    } else if case.route.passes_through() && marks::has_default_headers(case.headers) && !is_grafanas_own(case) {
        "the path leads to a datasource, and the answer does not look like Grafana's own"
    } else {
        return None;
    };
    Some(Finding::new(by_status(case.status)?, because))
}

/// Up to 7.4 nothing marks what is passed on: Grafana's own refusals are JSON with a `message`, and it never names its
/// server.
fn is_grafanas_own(case: &Case<'_>) -> bool {
    if case.headers.contains("server") {
        return false;
    }
    match &case.body {
        Body::Json(document) => document.message.is_some() || from_middleware(case),
        Body::Empty => !case.headers.contains("content-type") || from_middleware(case),
        Body::Text(text) => "origin not allowed".starts_with(text.as_str()) || from_middleware(case),
        Body::Html => false,
    }
}

fn from_middleware(case: &Case<'_>) -> bool {
    case.header("content-type") == marks::MIDDLEWARE_TYPE
}

const fn by_status(status: u16) -> Option<Reason> {
    match status {
        401 => Some(Reason::DatasourceUnauthorized),
        403 => Some(Reason::DatasourceForbidden),
        429 => Some(Reason::DatasourceRateLimited),
        _ => None,
    }
}

/// Refusals that Grafana tells in its own words, with a status of its own: 400, 500 or 207.
pub(super) fn retold(case: &Case<'_>) -> Option<Finding> {
    if case.body.is_text("Authentication to data source failed")
        && (case.route.passes_through() || marks::passed_on(case.headers))
    {
        return Some(Finding::new(
            Reason::DatasourceUnauthorized,
            "the datasource answered 401, which Grafana's datasource proxy turns into 400",
        ));
    }
    let document = case.body.json()?;
    if case.route.is_query() {
        let (reason, because) = match document.results()?? {
            QueryRefusal::Unauthorized => {
                (Reason::DatasourceUnauthorized, "a query's result says that the datasource answered 401")
            }
            QueryRefusal::Forbidden => {
                (Reason::DatasourceForbidden, "a query's result says that the datasource answered 403")
            }
            QueryRefusal::RateLimited => {
                (Reason::DatasourceRateLimited, "a query's result says that the datasource answered 429")
            }
        };
        return Some(Finding::new(reason, because));
    }
    if case.route.is_health_check() && case.status == 400 {
        let status = document.message.as_deref()?.split(' ').next()?.parse().ok()?;
        return Some(Finding::new(by_status(status)?, format!("the datasource's health check was answered {status}")));
    }
    None
}
