//! Refusals in the disguise of 207, 400, 404, 410 and 500. What hides none has no reason.

use super::super::credential::AuthForm;
use super::super::head::RequestFacts;
use super::super::reason::Reason;
use super::body::Body;
use super::{Case, Finding, datasource, marks, message, message_id};

pub(super) fn judge(case: &Case<'_>) -> Option<Finding> {
    match case.status {
        207 => datasource::retold(case),
        400 => datasource::retold(case).or_else(|| bad_head(case)).or_else(|| failed_login(case)),
        404 => missing(case),
        410 => gone(case),
        500 => datasource::retold(case).or_else(|| failed_login(case)),
        _ => None,
    }
}

/// Whether the request asks for an organisation in the way that Grafana applies to one request.
pub(super) fn asks_for_organisation(request: &RequestFacts) -> bool {
    request.org.sent.is_some()
        || request.org.received.as_deref().is_some_and(is_organisation)
        || query_value(request, "targetOrgId").is_some_and(is_organisation)
}

/// Whether Grafana reads this as an organisation. It ignores zero and what is no number; a number that is too big
/// becomes the biggest, which is an organisation that nobody has.
fn is_organisation(value: &str) -> bool {
    let value = value.trim();
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && digits.bytes().any(|b| b != b'0')
}

/// Whether it asks for one in any way, `?orgId=` (which switches the user for good) included.
pub(super) fn names_organisation(request: &RequestFacts) -> bool {
    asks_for_organisation(request) || switches_organisation(request)
}

fn switches_organisation(request: &RequestFacts) -> bool {
    query_value(request, "orgId").is_some_and(is_organisation)
}

pub(super) fn query_value<'r>(request: &'r RequestFacts, name: &str) -> Option<&'r str> {
    let pairs = request.uri.query()?.split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Go's own server refuses a head before Grafana sees it.
fn bad_head(case: &Case<'_>) -> Option<Finding> {
    let Body::Text(text) = &case.body else { return None };
    let go = text.starts_with("400 Bad Request")
        && case.header("content-type") == "text/plain; charset=utf-8"
        && !case.headers.contains("x-content-type-options");
    go.then(|| Finding::new(Reason::HeadMalformed, format!("Grafana's HTTP server says `{}`", message::quoted(text))))
}

/// Failures to authenticate that Grafana gives another status than 401.
fn failed_login(case: &Case<'_>) -> Option<Finding> {
    let document = case.body.json()?;
    let id = document.message_id.as_deref();
    let family = |prefixes: &[&str]| id.is_some_and(|id| prefixes.iter().any(|prefix| id.starts_with(prefix)));
    let hidden = match case.status {
        400 => family(&["password-auth.", "basic-auth.", "login-attempt.", "api-key.", "jwt."]),
        _ => family(&["user.sync.", "auth-proxy."]),
    };
    if hidden {
        return message_id::judge(case, document).or_else(|| {
            let because = format!("Grafana says `{}`", message::quoted(id.unwrap_or_default()));
            Some(Finding::new(Reason::UnauthorizedUnexplained, because))
        });
    }
    // Grafana 9.0 – 9.3 answers an unknown token with 500.
    if id.is_none() && case.status == 500 && case.request.auth.sent != AuthForm::None {
        if document.says("invalid API key") {
            return Some(message::invalid_token(case));
        }
        if document.says("Unable to link API key to service account") {
            return Some(message::said(Reason::UserMissing, document));
        }
    }
    None
}

fn missing(case: &Case<'_>) -> Option<Finding> {
    let document = case.body.json();
    let says = |text| document.is_some_and(|document| document.says(text));
    if asks_for_organisation(case.request) && !case.route.is_organisations() && says("Organization not found") {
        return Some(Finding::new(Reason::NotAMember, "Grafana says `Organization not found`"));
    }
    let not_found = says("Not found") || case.body.is_text("Not found");
    if switches_organisation(case.request) {
        let named = document.map(super::body::Document::lower_message).unwrap_or_default();
        let named = named.starts_with("organization with id ") && named.ends_with(" not found");
        if not_found || named {
            return Some(Finding::new(
                Reason::NotAMember,
                "`?orgId=` of an organisation to which the caller does not belong is answered 404",
            ));
        }
    }
    (not_found && case.route.was_removed() && marks::has_default_headers(case.headers))
        .then(|| Finding::new(Reason::EndpointRemoved, "API keys and their migration are gone since about 12.1"))
}

fn gone(case: &Case<'_>) -> Option<Finding> {
    let document = case.body.json()?;
    (case.route.was_removed() || document.lower_message().contains("removed"))
        .then(|| message::said(Reason::EndpointRemoved, document))
}
