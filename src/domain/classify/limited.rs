//! 429 of others. Grafana limits the front-end's log and, from about 12 on, its Kubernetes-style API, and nothing else.

use super::super::reason::Reason;
use super::body::Body;
use super::{Case, Finding, datasource, marks, message};

pub(super) fn judge(case: &Case<'_>) -> Finding {
    if let Some(finding) = datasource::passed_on(case) {
        return finding;
    }
    if case.route.is_query() && case.body.json().is_some_and(|document| document.results().is_some()) {
        return Finding::new(Reason::DatasourceRateLimited, "a query's result says that the datasource answered 429");
    }
    if let Body::Json(document) = &case.body {
        if document.status {
            return message::said(Reason::ApiserverRateLimited, document);
        }
        if document.says("Rate limit reached.") || document.message_id.is_some() {
            return message::said(Reason::GrafanaRateLimited, document);
        }
    }
    let busy = matches!(&case.body, Body::Text(text) if text.starts_with("Too many requests, please try again later"));
    if busy && case.route.is_apiserver() {
        return Finding::new(Reason::ApiserverRateLimited, "too many requests are in flight in Grafana's API server");
    }
    if let Some(evidence) = marks::hop_evidence(case) {
        return Finding::new(Reason::HopRateLimited, evidence);
    }
    if case.route.is_front_end_log() {
        return Finding::new(
            Reason::GrafanaRateLimited,
            "the path is the one of the front-end's log, which Grafana limits",
        );
    }
    if case.headers.contains("server") || case.headers.is_empty() {
        return Finding::new(Reason::HopRateLimited, "Grafana has no limit of its own on this path");
    }
    if case.route.is_apiserver() {
        return Finding::new(Reason::ApiserverRateLimited, "the path is one of Grafana's API server");
    }
    Finding::new(Reason::GrafanaRateLimited, "the answer bears Grafana's own headers")
}
