//! The Kubernetes-style API: `metav1.Status`.

use super::super::reason::Reason;
use super::body::Document;
use super::{Case, Finding, credential, message};

/// A 401 in a `Status`.
pub(super) fn unauthorised(_case: &Case<'_>, document: &Document) -> Option<Finding> {
    let lower = document.lower_message();
    (document.status && lower.starts_with("missing ") && lower.ends_with(" permission"))
        .then(|| message::said(Reason::PermissionMissing, document))
}

/// A 403 in a `Status`: the authoriser's own words stand at the end of the message.
pub(super) fn forbidden(case: &Case<'_>, document: &Document) -> Option<Finding> {
    if !document.status {
        return None;
    }
    let message = document.message.as_deref().unwrap_or_default();
    let reason = if message.contains(" is not a member of org ") || message.ends_with(": invalid org") {
        Reason::NotAMember
    } else if message.contains("Grafana org role (") && message.contains("didn't allow") {
        // Access by role alone: the permissions of access control are not asked here.
        Reason::RoleTooLow
    } else if message.ends_with("access denied to folder") {
        Reason::FolderDenied
    } else {
        return Some(message::said(Reason::ForbiddenUnexplained, document));
    };
    Some(match reason {
        Reason::RoleTooLow => credential::judged_fault(case.request).unwrap_or_else(|| message::said(reason, document)),
        _ => message::said(reason, document),
    })
}
