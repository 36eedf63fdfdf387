//! How to prove that the cause of a refusal is mended, and which versions of Grafana refuse so: the part of the table
//! that only readers of the reference and of `explain` need.

use super::Reason;

/// A command that shows whether the cause is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// What to type. `$P` is the proxy's URL, `$M` its telemetry listener's, `$G` Grafana's own, `$A` the line
    /// `Authorization: …` as the client sends it.
    pub command: &'static str,
    /// What it shows once the cause is gone.
    pub shows: &'static str,
}

/// The call that tells most about a credential: every role may make it, in every version.
const ORG: &str = "curl -si -H \"$A\" $P/api/org";

const ANY: &str = "any";

/// The command that the credential itself proves, with its usual outcome.
const fn credential(shows: &'static str) -> Proof {
    Proof { command: ORG, shows }
}

const fn proof(command: &'static str, shows: &'static str) -> Proof {
    Proof { command, shows }
}

impl Reason {
    /// How to prove that it is mended.
    pub const fn proof(self) -> Proof {
        match self {
            Self::TokenRateLimited => {
                proof("curl -si -H \"$A\" $P/api/org | grep -i ^ratelimit", "`\"token\";r=` and a number above 0")
            }
            Self::ClientRateLimited => {
                proof("curl -si $P/api/org | grep -i ^ratelimit", "`\"client\";r=` and a number above 0")
            }
            Self::AuthFailuresLimited => proof(
                "curl -s $M/metrics | grep refusals_total.*auth_failures_limited",
                "a number that no longer grows, or nothing",
            ),
            Self::OrgOverrideRefused => credential("status 200, and the organisation that the proxy has pinned"),
            Self::CallerNotAllowed => {
                proof("curl -si -H \"$A\" $P/path/of/the/call", "no `X-Token-Proxy-Reason: caller_not_allowed`")
            }
            Self::CredentialConflict => proof(
                "curl -si -H \"$A\" -H 'X-Token-Proxy-Probe: 1' $P/api/org | grep -i saw",
                "`auth_received=bearer` from behind the hop that used to add its own, and status 200",
            ),
            Self::MethodRefused => proof("curl -si -X OPTIONS -H \"$A\" $P/api/org", "any status but 405"),
            Self::BodyTooLarge => proof(
                "curl -si -H \"$A\" -H 'Content-Type: application/json' --data-binary @body.json $P/path/of/the/call",
                "any status but 413",
            ),
            Self::Overloaded => proof(
                "curl -s $M/metrics | grep -E 'in_flight|connections_active|code=\"503\"'",
                "numbers well below the bounds, and a count of 503 that no longer grows",
            ),
            Self::ShuttingDown => proof("curl -si $M/readyz", "status 200"),
            Self::LimitsUnavailable => {
                proof("curl -s $M/metrics | grep ratelimit_backend", "the state `up` with the value 1")
            }
            Self::UpstreamUnreachable | Self::UpstreamReset => {
                proof("curl -si $P/api/health", "status 200 and `\"database\": \"ok\"`")
            }
            Self::UpstreamMalformed => proof("curl -si $G/api/health", "a status line that begins with `HTTP/1.1`"),
            Self::UpstreamTimeout => proof(
                "curl -so /dev/null -w '%{http_code} %{time_starttransfer}\\n' -H \"$A\" $G/path/of/the/call",
                "a time below `upstream.response_timeout`",
            ),
            Self::InternalError => proof(
                "curl -s $M/metrics | grep refusals_total.*internal_error",
                "a number that no longer grows, or nothing",
            ),
            Self::NewlineInHead => proof("wc -l < token", "`0`: no line break is left in the file; and status 200"),
            Self::HeadMalformed => proof(
                "curl -s $M/metrics | grep refusals_total.*head_malformed",
                "a number that no longer grows while the client calls",
            ),
            Self::HeadTooLarge => proof(
                "curl -si -b cookies.txt -H \"$A\" $P/api/org",
                "any status but 431 and 414, with the client's cookies",
            ),
            Self::HeadTimeout | Self::BodyTimeout => proof(
                "curl -s $M/metrics | grep 'refusals_total.*_timeout'",
                "numbers that no longer grow while the client calls",
            ),
            Self::BodyMalformed => proof(
                "curl -s $M/metrics | grep refusals_total.*body_malformed",
                "a number that no longer grows while the client calls",
            ),
            Self::TlsFailed => proof(
                "openssl s_client -connect proxy.example:443 -servername proxy.example </dev/null",
                "`Verify return code: 0 (ok)`",
            ),
            Self::CredentialMissing => proof(
                "curl -si -H \"$A\" -H 'X-Token-Proxy-Probe: 1' $P/api/org | grep -iE '^HTTP|saw'",
                "status 200 and `auth_received=bearer`, also from where the client stands",
            ),
            Self::CredentialNotRecognised => proof(
                "curl -si -H \"$A\" -H 'X-Token-Proxy-Probe: 1' $P/api/org | grep -iE '^HTTP|saw'",
                "status 200 and `auth_sent=bearer`",
            ),
            Self::TokenMalformed | Self::TokenWrongKind => {
                proof("grafana-token-proxy inspect token", "`usable`, and `holds` for the checksum")
            }
            Self::TokenUnknown
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::ServiceAccountDisabled
            | Self::UserDisabled
            | Self::UserMissing
            | Self::JwtInvalid => credential("status 200, and the organisation of the credential"),
            Self::OrgMismatch => proof(
                "curl -si -H \"$A\" -H 'X-Grafana-Org-Id: 2' $P/api/org",
                "status 200 and `\"id\":2`, with the organisation that you ask for",
            ),
            Self::PasswordWrong | Self::LoginBlocked => proof(
                "curl -si -u user $P/api/org",
                "status 200, after the password was typed; five failures lock the user",
            ),
            Self::SessionExpired | Self::SessionRevoked | Self::OauthExpired => {
                proof("curl -si -b cookies.txt $P/api/user", "status 200 and the user, with the new cookie")
            }
            Self::SessionRotationDue => proof(
                "curl -si -b cookies.txt -c cookies.txt -X POST $P/api/user/auth-tokens/rotate",
                "status 200 and a `Set-Cookie` with the new session",
            ),
            Self::AuthProxyRefused => proof(
                "curl -si -H 'X-WEBAUTH-USER: somebody' $P/api/user",
                "status 200 and that user, from an address in the white-list",
            ),
            Self::RenderKeyInvalid => proof(
                "curl -si -H \"$A\" $P/render/d-solo/uid/name?panelId=1",
                "status 200 and `Content-Type: image/png`",
            ),
            Self::FeatureDisabled => {
                proof("curl -si -H \"$A\" $P/path/of/the/call", "any answer but the one that names the feature")
            }
            Self::UnauthorizedUnexplained => credential("status 200, or a reason that says more"),
            Self::PermissionMissing => proof(
                "curl -s -H \"$A\" $P/api/access-control/user/permissions?reloadcache=true",
                "the permission that the log line names, with a scope that covers the object",
            ),
            Self::RoleTooLow => proof("curl -si -H \"$A\" $P/path/of/the/call", "any status but 403"),
            Self::OriginNotAllowed => proof(
                "curl -si -H \"$A\" -b grafana_session=x -H 'Origin: https://grafana.example' $P/api/health",
                "status 200 for the host that browsers see",
            ),
            Self::LiveOriginNotAllowed => proof(
                "curl -si --http1.1 -m 2 -H \"$A\" -H 'Origin: https://grafana.example' -H 'Connection: Upgrade' \
                 -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' \
                 $P/api/live/ws",
                "status 101",
            ),
            Self::QuotaReached => {
                proof("curl -s -u admin $G/api/orgs/1/quotas", "`used` below `limit` for what was to be made")
            }
            Self::UsersOnly => credential("status 200: the token works where no user is needed"),
            Self::FolderDenied => proof(
                "curl -si -H \"$A\" $P/api/folders/uid-of-the-folder",
                "status 200, and `\"canSave\":true` where the call writes",
            ),
            Self::NotAMember => proof(
                "curl -si -H \"$A\" -H 'X-Grafana-Org-Id: 2' $P/api/org",
                "status 200 and `\"id\":2`, with the organisation that you ask for",
            ),
            Self::DatasourceDenied | Self::DatasourcePolicy | Self::DatasourceForbidden => {
                proof("curl -si -H \"$A\" $P/path/of/the/call", "any status but 403")
            }
            Self::ReadOnly => {
                proof("curl -si -H \"$A\" $P/path/of/the/call", "the new state, after it was changed at its source")
            }
            Self::ForbiddenUnexplained => {
                proof("curl -si -H \"$A\" $P/path/of/the/call", "any status but 403, or a reason that says more")
            }
            Self::GrafanaRateLimited | Self::ApiserverRateLimited | Self::HopRateLimited => proof(
                "curl -s $M/metrics | grep 'refusals_total.*code=\"429\"'",
                "numbers that no longer grow while the clients call",
            ),
            Self::DatasourceUnauthorized => proof(
                "curl -si -H \"$A\" $P/api/datasources/uid/uid-of-the-datasource/health",
                "status 200 and `\"status\":\"OK\"`",
            ),
            Self::DatasourceRateLimited => {
                proof("curl -si -H \"$A\" $P/path/of/the/call", "any status but 429, at the rate of the clients")
            }
            Self::HopUnauthorized | Self::HopForbidden => proof(
                "curl -si -H \"$A\" $P/api/org | grep -iE '^HTTP|^X-Frame-Options|^X-Token-Proxy-Reason'",
                "Grafana's own `X-Frame-Options: deny`, and no reason that begins with `hop_`",
            ),
            Self::RedirectedToLogin => proof("curl -si -b cookies.txt $P/", "status 200 instead of 302"),
            Self::RedirectedHome => proof("curl -si -b cookies.txt $P/path/of/the/page", "status 200 instead of 302"),
            Self::RedirectedToRootUrl => {
                proof("curl -si -H \"$A\" -H 'Host: host-of-root-url' $P/api/org", "status 200 instead of 301 or 302")
            }
            Self::EndpointRemoved => proof(
                "curl -si -H \"$A\" $P/api/serviceaccounts/search",
                "status 200: the endpoints that took its place",
            ),
        }
    }

    /// Which versions of Grafana refuse so; `any` where it is not Grafana's doing, or all of them do.
    pub const fn versions(self) -> &'static str {
        match self {
            Self::TokenUnknown => {
                "any; 9.0 – 9.3 answer 500, from 10.1 on the same answer stands for a failing database"
            }
            Self::TokenRevoked => "9.2 and later",
            Self::ServiceAccountDisabled => "8.5 and later",
            Self::OrgMismatch => "10.4 and later; older ones ignore the header of a token",
            Self::PasswordWrong => "any; 400 instead of 401 from 10.1 until about 10.4",
            Self::LoginBlocked => "10.1 until before 10.4; the others answer as for a wrong password",
            Self::JwtInvalid => "8.0 and later, where `auth.jwt` is on",
            Self::SessionRotationDue => "10.4 and later; earlier with the toggle `clientTokenRotation`",
            Self::SessionRevoked => "7.5 and later",
            Self::OauthExpired => "10.1 and later",
            Self::UserMissing => "8.5 and later; up to 10.0 with status 500",
            Self::UserDisabled => "10.1 and later; older ones answer as for a wrong password or a dead session",
            Self::AuthProxyRefused => "any, where `auth.proxy` is on; 407 up to 10.0, then 401",
            Self::PermissionMissing => "9.0 and later; earlier with access control switched on",
            Self::RoleTooLow => "any; the usual answer up to 8.5, later for server-wide calls and `/apis`",
            Self::OriginNotAllowed => "7.5.15, 8.3.5 and later",
            Self::LiveOriginNotAllowed => "8.0 and later",
            Self::UsersOnly => "10.4 and later",
            Self::NotAMember => "any; 404 up to 8.5, a missing permission from 9.0 on, `/apis` from 10.4 on",
            Self::FolderDenied => "any; in the words of `/apis` from about 13 on",
            Self::DatasourceDenied => "any, with datasource permissions (Enterprise and Cloud)",
            Self::GrafanaRateLimited => "any; for the logs of browsers alone",
            Self::ApiserverRateLimited => "about 12 and later, under `/apis`",
            Self::DatasourceUnauthorized => "any; the datasource proxy makes 400 of it from 7.3 on",
            Self::DatasourceForbidden | Self::DatasourceRateLimited => {
                "any; the query API hides it in a 200 or 500 up to 10.1"
            }
            Self::EndpointRemoved => "11.3 and later; 410 at first, 404 from about 12.1 on",
            _ => ANY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;

    #[test]
    fn every_reason_is_proved_by_a_command_without_a_secret() {
        for reason in Reason::ALL {
            let Proof { command, shows } = reason.proof();
            assert!(command.len() > 10 && shows.len() > 5 && !shows.ends_with('.'), "{reason}: {command} {shows}");
            let starts = ["curl ", "grafana-token-proxy ", "openssl ", "wc "];
            assert!(starts.iter().any(|start| command.starts_with(start)), "{reason}: {command}");
            assert!(!command.contains("Bearer "), "{reason}: a token would stand in the list of processes");
        }
    }

    #[test]
    fn what_is_not_grafanas_doing_happens_with_any_version() {
        for reason in Reason::ALL {
            let outside = matches!(reason.source(), Source::Proxy | Source::Client | Source::Hop);
            assert!(!outside || reason.versions() == ANY, "{reason}");
            assert!(!reason.versions().ends_with('.'), "{reason}");
        }
    }
}
