//! 401 and 407.

use super::super::reason::Reason;
use super::body::Body;
use super::{Case, Finding, apiserver, credential, datasource, marks, message, message_id};

pub(super) fn judge(case: &Case<'_>) -> Finding {
    if case.status == 407 {
        return match marks::hop_evidence(case) {
            Some(evidence) => Finding::new(Reason::HopUnauthorized, evidence),
            None => Finding::new(
                Reason::AuthProxyRefused,
                "up to 10.0, Grafana answers 407 where `auth.proxy` does not accept the address or the user",
            ),
        };
    }
    if let Some(finding) = datasource::passed_on(case) {
        return finding;
    }
    if marks::challenges(case)
        && let Some(evidence) = marks::hop_evidence(case)
    {
        return Finding::new(Reason::HopUnauthorized, evidence);
    }
    if let Body::Json(document) = &case.body {
        let named = message_id::judge(case, document);
        let named = named.or_else(|| message::judge(case, document));
        if let Some(finding) = named.or_else(|| apiserver::unauthorised(case, document)) {
            return finding;
        }
    }
    if let Some(evidence) = marks::hop_evidence(case) {
        return Finding::new(Reason::HopUnauthorized, evidence);
    }
    if case.route.is_metrics() && matches!(case.body, Body::Empty) {
        return metrics(case);
    }
    with_its_words(case, credential::explain_vague(case))
}

/// What an answer says that we do not understand (another language, a newer version) may tell its reader something.
fn with_its_words(case: &Case<'_>, finding: Finding) -> Finding {
    let Body::Json(document) = &case.body else { return finding };
    let known = document.message.as_deref().is_none_or(|message| message.is_empty() || document.says("Unauthorized"));
    let words = match &document.message_id {
        Some(id) => format!("its name, `{}`, is not known to us", message::quoted(id)),
        None if !known => {
            format!("its words are `{}`", message::quoted(document.message.as_deref().unwrap_or_default()))
        }
        None => return finding,
    };
    if finding.reason == Reason::UnauthorizedUnexplained {
        Finding::new(finding.reason, format!("{}: {words}", finding.because))
    } else {
        finding
    }
}

/// `/metrics` has a user and a password of its own, and looks at nothing else.
fn metrics(case: &Case<'_>) -> Finding {
    let request = case.request;
    if credential::is_absent(request) && !request.session_cookie {
        return Finding::new(
            Reason::CredentialMissing,
            "`/metrics` wants the user and password of `[metrics] basic_auth_username`",
        );
    }
    if credential::is_password(request) {
        return Finding::new(
            Reason::PasswordWrong,
            "`/metrics` wants the user and password of `[metrics] basic_auth_username`, not a Grafana user's",
        );
    }
    Finding::new(
        Reason::CredentialNotRecognised,
        "`/metrics` takes only the user and password of `[metrics] basic_auth_username`, never a token",
    )
}
