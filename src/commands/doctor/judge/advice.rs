//! The next step where Grafana sees another caller or organisation: which headers to look for, and at which hop.

use super::super::identity::Identity;
use super::super::observations::{Observations, Way, reply};
use super::super::reply::Saw;

/// What identity-aware proxies set; Grafana prefers it to `Authorization` (`[auth.jwt]`).
const JWT: &str = "`X-JWT-Assertion`, `Cf-Access-Jwt-Assertion`, `X-Goog-IAP-JWT-Assertion`";

fn saw(way: &Way) -> Option<&Saw> {
    reply(&way.with)?.saw.as_ref()
}

/// Where Grafana sees `identity` instead of the owner of the credential.
pub(super) fn identity(way: &Way, seen: &Observations, identity: Option<&Identity>) -> String {
    if identity.is_some_and(Identity::is_anonymous) {
        let place = if saw(way).is_some() { "behind the proxy" } else { "between here and Grafana" };
        return format!(
            "Look for a hop {place} that removes, damages or overwrites `Authorization`: anonymous access hides that \
             Grafana did not accept it."
        );
    }
    let rule = "Let it leave requests alone that bring their own `Authorization`.";
    let Some(saw) = saw(way) else {
        return format!(
            "Look for a hop that sets {JWT}, `Authorization`, `X-WEBAUTH-USER`, `Remote-User` or a session cookie. {rule}"
        );
    };
    let ours = seen.credential.as_ref().and_then(|credential| credential.fingerprint.as_ref());
    // Another key makes other fingerprints: only equal ones show anything.
    let has_arrived = ours.is_some() && ours == saw.fingerprint.as_ref();
    let (either, behind) = match has_arrived {
        true => ("", "`Authorization`, "),
        false => (", `Authorization`", ""),
    };
    format!(
        "Look for a hop on either side of the proxy that sets {JWT}{either} or a session cookie, and for one behind the proxy \
         that sets {behind}`X-WEBAUTH-USER` or `Remote-User`. {rule} The proxy's own settings `tokens[].send_file` and \
         `clients.identity_headers` have the same effect."
    )
}

/// Where Grafana is asked for another organisation than by `--direct`.
pub(super) fn organisation(way: &Way, seen: &Observations) -> String {
    let header = "sets, changes or removes `X-Grafana-Org-Id`";
    let Some(saw) = saw(way) else {
        return format!("Look for a hop between here and Grafana that {header}.");
    };
    let asked = seen.org.map(|org| org.to_string());
    match &saw.org {
        org if *org == asked => format!("Look for a hop behind the proxy that {header}."),
        Some(org) => format!(
            "Look for a hop in front of the proxy that {header}, and at `org` and `tokens[].org` in the settings of the proxy. \
             If organisation {org} is intended, run this again with `--org {org}`."
        ),
        None => format!(
            "Look for a hop in front of the proxy that {header}, and at `org.mode` in the settings of the proxy."
        ),
    }
}
