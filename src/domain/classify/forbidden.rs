//! 403.

use super::super::reason::Reason;
use super::body::{Body, Document};
use super::{Case, Finding, apiserver, credential, datasource, disguise, marks, message, message_id, signers};

/// Permissions that every member of an organisation has: who lacks one of them where an organisation is asked for, is
/// no member. Grafana lets strangers in, without any permission.
const EVERY_MEMBER_HAS: [&str; 2] = ["orgs:read", "datasources:query"];

pub(super) fn judge(case: &Case<'_>) -> Finding {
    if let Some(finding) = datasource::passed_on(case) {
        return finding;
    }
    match &case.body {
        Body::Text(_) => {
            if let Some(finding) = origin(case) {
                return finding;
            }
        }
        Body::Json(document) => {
            if let Some(id) = &document.access_error {
                return access_control(case, document, id);
            }
            let named = message_id::judge(case, document).or_else(|| apiserver::forbidden(case, document));
            if let Some(finding) = named.or_else(|| by_message(case, document)) {
                return finding;
            }
        }
        Body::Empty | Body::Html => {}
    }
    if let Some(evidence) = marks::hop_evidence(case) {
        return Finding::new(Reason::HopForbidden, evidence);
    }
    let said = case.body.json().and_then(|document| document.message.as_deref()).filter(|message| !message.is_empty());
    let because = match said {
        Some(message) => {
            format!("Grafana says `{}`, and not which permission or role was lacking", message::quoted(message))
        }
        None => "the answer does not say which permission or role was lacking".to_owned(),
    };
    Finding::new(Reason::ForbiddenUnexplained, because)
}

/// The two checks of `Origin`, the only refusals in plain text.
fn origin(case: &Case<'_>) -> Option<Finding> {
    if case.body.is_text("origin not allowed") {
        return Some(Finding::new(
            Reason::OriginNotAllowed,
            "Grafana's CSRF check compares the hosts in `Origin` and `Host` where a session cookie came along",
        ));
    }
    let live = case.route.is_live() || case.headers.contains("sec-websocket-version");
    (live && case.body.is_text("Forbidden")).then(|| {
        Finding::new(
            Reason::LiveOriginNotAllowed,
            "Grafana Live compares `Origin` with `Host` and `root_url`, ports included",
        )
    })
}

/// A refusal of the access control, which names the permission.
fn access_control(case: &Case<'_>, document: &Document, id: &str) -> Finding {
    let id = in_the_log(id);
    let expression = document.message.as_deref().and_then(|message| message.split_once("Permissions needed: "));
    // As Grafana wrote it, but for what cannot stand in a log.
    let plain = |text: &str| text.chars().filter(|c| !c.is_control() && *c != '`').take(2000).collect::<String>();
    let expression = expression.map(|(_, expression)| plain(expression));
    // A credential that Grafana cannot use is passed over, and the visitor (or a user named otherwise) lacks the permission.
    if let Some(mut finding) = credential::judged_fault(case.request) {
        if let Some(expression) = expression {
            let who = signers::without_authorization(case.request);
            finding.because = format!("{}; {who} was asked for `{expression}`{id}", finding.because).into();
        }
        return finding;
    }
    let Some(expression) = expression else {
        if disguise::asks_for_organisation(case.request) {
            let because = format!(
                "the access control refused{id}, and names no permission: the caller lacks one, or is no member"
            );
            return Finding::new(Reason::ForbiddenUnexplained, because);
        }
        let because = format!("the access control refused{id}, and does not name the permission");
        return Finding::new(Reason::PermissionMissing, because);
    };
    if EVERY_MEMBER_HAS.contains(&expression.as_str())
        && disguise::asks_for_organisation(case.request)
        && !case.route.is_organisations()
    {
        return Finding::new(
            Reason::NotAMember,
            format!(
                "the request asks for an organisation, and even `{expression}` is missing{id}, which every member has"
            ),
        );
    }
    let mut finding =
        Finding::new(Reason::PermissionMissing, format!("the access control asks for `{expression}`{id}"));
    finding.permission = Some(expression);
    finding
}

/// The name by which Grafana's own log tells more of a refusal.
fn in_the_log(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!(" (`{}` in Grafana's log)", message::quoted(id)) }
}

/// What handlers and the older role checks say.
fn by_message(case: &Case<'_>, document: &Document) -> Option<Finding> {
    let lower = document.lower_message();
    let reason = by_caller(case, &lower).map(|reason| (reason, true));
    let (reason, about_caller) = reason.or_else(|| by_object(case, &lower).map(|reason| (reason, false)))?;
    if about_caller {
        if let Some(finding) = credential::judged_fault(case.request) {
            return Some(finding);
        }
        if credential::sends_nothing(case.request) {
            return Some(Finding::new(
                Reason::CredentialMissing,
                format!("the anonymous visitor may not do this: Grafana says `{}`", message::quoted(&lower)),
            ));
        }
    }
    Some(message::said(reason, document))
}

/// Refusals that another caller would not meet.
fn by_caller(case: &Case<'_>, lower: &str) -> Option<Reason> {
    Some(match lower {
        "endpoint only available for users" | "entity not allowed to revoke tokens" => Reason::UsersOnly,
        "access denied to datasource" | "access denied to data source" => Reason::DatasourceDenied,
        "access denied" if case.route.passes_through() => Reason::DatasourcePolicy,
        "access denied" => Reason::PermissionMissing,
        _ if lower.starts_with("permission denied") => Reason::RoleTooLow,
        _ if lower.ends_with("assign a role higher than user's role") => Reason::RoleTooLow,
        _ if lower.starts_with("access denied to ") || lower.ends_with("access denied to folder") => {
            Reason::FolderDenied
        }
        _ if lower.starts_with("user does not have permissions to edit the namespace") => Reason::FolderDenied,
        _ if lower.starts_with("user is not authorized to ") => Reason::PermissionMissing,
        _ => return None,
    })
}

/// Words of refusals to change what is managed elsewhere: by files, by an identity provider, by the release itself.
const READ_ONLY: [&str; 5] = [
    "read-only",
    "read only",
    "via provisioning",
    "user info cannot be updated",
    "cannot install or change a core plugin",
];

/// Refusals that every caller meets.
fn by_object(case: &Case<'_>, lower: &str) -> Option<Reason> {
    Some(match lower {
        "quota has been exceeded" => Reason::QuotaReached,
        "target url is not a valid target" => Reason::DatasourcePolicy,
        "data proxy hostname and ip are not included in whitelist" => Reason::DatasourcePolicy,
        "plugin proxy route access denied" => Reason::DatasourcePolicy,
        "feature not enabled" | "quotas not enabled" => Reason::FeatureDisabled,
        _ if lower.ends_with("quota reached") => Reason::QuotaReached,
        _ if lower.contains("not allowed on proxied ") && case.route.passes_through() => Reason::DatasourcePolicy,
        _ if READ_ONLY.iter().any(|words| lower.contains(words)) => Reason::ReadOnly,
        _ if lower.ends_with(" is disabled") => Reason::FeatureDisabled,
        _ => return None,
    })
}
