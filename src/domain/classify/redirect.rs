//! Redirects that are refusals in disguise: pages never answer 401 or 403.

use super::super::reason::Reason;
use super::{Case, Finding, marks};

pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    let location = case.header("location");
    if marks::passed_on(case.headers) || location.is_empty() {
        return None;
    }
    if location.contains("://") || location.starts_with("//") {
        return absolute(case, location);
    }
    // Grafana redirects no API call to a page: what comes from there is a datasource's.
    if case.route.passes_through() {
        return None;
    }
    relative(case, path_of(location))
}

/// What precedes the query and the fragment.
fn path_of(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

fn relative(case: &Case<'_>, location: &str) -> Option<Finding> {
    let path = case.route.path;
    if path.ends_with("/logout") || path.ends_with("/user/auth-tokens/rotate") {
        return None;
    }
    if location.contains("/oauth2/") && !marks::has_default_headers(case.headers) {
        return Some(Finding::new(Reason::HopUnauthorized, "the answer leads to the sign-in of an OAuth2 proxy"));
    }
    if location == "/login" || location.ends_with("/login") {
        return Some(Finding::new(
            Reason::RedirectedToLogin,
            "a page was asked for, and Grafana leads to its login page",
        ));
    }
    // With a sub-path, home is the sub-path, and everything else lies below it.
    let home =
        location == "/" || (location.ends_with('/') && path.len() > location.len() && path.starts_with(location));
    if home && !path.ends_with("/login") {
        return Some(Finding::new(Reason::RedirectedHome, "a page was asked for, and Grafana leads to its home page"));
    }
    None
}

/// `root_url` and the path that was asked for, perhaps with the sub-path twice.
fn absolute(case: &Case<'_>, location: &str) -> Option<Finding> {
    let (_, rest) = location.split_once("//")?;
    let (host, target) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (target, path) = (path_of(target).trim_end_matches('/'), case.route.path.trim_end_matches('/'));
    // Home has no path of its own: only a sub-path may stand there.
    let same = if path.is_empty() { target.matches('/').count() <= 1 } else { target.ends_with(path) };
    if same && !case.headers.contains("server") {
        return Some(Finding::new(
            Reason::RedirectedToRootUrl,
            format!("the answer leads to the same path under `{}`", super::message::quoted(host)),
        ));
    }
    // An API call led elsewhere, without any of Grafana's headers: a gateway wants to log its user in.
    let foreign = !same && case.route.is_api() && !case.route.passes_through();
    (foreign && !marks::has_default_headers(case.headers)).then(|| {
        Finding::new(
            Reason::HopUnauthorized,
            format!("an API call is led to `{}`, and none of Grafana's headers is there", super::message::quoted(host)),
        )
    })
}
