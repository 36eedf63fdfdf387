//! Everything the doctor may conclude, in one table: code, weight, what it means, the next step. The report and the
//! table in `docs/doctor.md` are made from it.

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// As it should be.
    Ok,
    /// It works, and somebody should know.
    Warn,
    /// It does not work.
    Fail,
}

impl Weight {
    /// The word in both outputs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $code:literal $weight:ident $means:literal $next:literal;)*) => {
        /// A conclusion. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(super) enum Code { $($variant,)* }

        impl Code {
            /// All, in the order of the reference.
            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in both outputs.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// How bad it is.
            pub(super) const fn weight(self) -> Weight {
                match self { $(Self::$variant => Weight::$weight,)* }
            }

            /// What it means, in one sentence.
            pub(super) const fn means(self) -> &'static str {
                match self { $(Self::$variant => $means,)* }
            }

            /// What to do, where nothing better is known.
            pub(super) const fn next(self) -> &'static str {
                match self { $(Self::$variant => $next,)* }
            }
        }
    };
}

codes! {
    Healthy "healthy" Ok
        "Nothing is wrong on the way."
        "Nothing to do.";
    NameUnknown "name_unknown" Fail
        "The name of the host does not resolve."
        "Check its spelling and the DNS server; in Kubernetes a Service of another namespace is `service.namespace.svc`.";
    NothingListens "nothing_listens" Fail
        "Nothing listens on that address and port."
        "Start what should listen there, or correct the port; in Kubernetes compare `targetPort` with the container's port.";
    Unreachable "unreachable" Fail
        "No connection comes about."
        "Look for a firewall, a network policy or a security group between here and there.";
    TlsMissing "tls_missing" Fail
        "What answers there speaks no TLS."
        "Use http:// in the URL, or switch TLS on there.";
    TlsWanted "tls_wanted" Fail
        "What answers there wants TLS."
        "Use https:// in the URL.";
    TlsExpired "tls_expired" Fail
        "The certificate has expired."
        "Renew it, and reload what serves it.";
    TlsNotYetValid "tls_not_yet_valid" Fail
        "The certificate is not valid yet."
        "Compare the clock of this machine with that of the issuer.";
    TlsWrongName "tls_wrong_name" Fail
        "The certificate is for another name."
        "Use the name that it is for, or have one issued for this name.";
    TlsUnknownIssuer "tls_unknown_issuer" Fail
        "The certificate's issuer is not believed here."
        "Give its authority with --ca-file; where the authority is a public one, the server leaves out the intermediate: serve the full chain.";
    TlsFailed "tls_failed" Fail
        "The TLS handshake fails."
        "Look at the certificate and the settings of whatever ends TLS there.";
    NoAnswer "no_answer" Fail
        "The connection stands, and no answer comes in time."
        "Look at what listens there: is it busy, stopped, or does it wait for another protocol?";
    ConnectionClosed "connection_closed" Fail
        "The connection is closed without an answer."
        "Read the log of whatever listens there.";
    NotHttp "not_http" Fail
        "What answers there speaks no HTTP."
        "Correct the port.";
    RedirectedToHttps "redirected_to_https" Fail
        "Plain HTTP is redirected to https; clients drop `Authorization` on the way."
        "Use https:// in every client: a redirect takes the credential off, or sends it in the clear first.";
    RedirectedElsewhere "redirected_elsewhere" Fail
        "Requests are redirected; clients drop `Authorization` where the host changes."
        "Use the URL that the redirect leads to, or correct `root_url` in Grafana.";
    NotGrafana "not_grafana" Fail
        "What answers there is not Grafana."
        "Check host, port and sub-path: `/api/health` below the URL must be Grafana's.";
    GrafanaUnwell "grafana_unwell" Fail
        "Grafana answers that it is not well."
        "Look at Grafana's log and at its database.";
    GrafanaUnreachable "grafana_unreachable" Fail
        "The proxy answers, and does not reach Grafana."
        "Correct `upstream.url` of the proxy, or start Grafana.";
    HopCannotReach "hop_cannot_reach" Fail
        "A hop answers, and does not reach what is behind it."
        "Correct its upstream address, or start what should be there.";
    HopRefuses "hop_refuses" Fail
        "A hop refuses, before Grafana is asked."
        "Let it pass requests that bring their own credential, or send what it asks for.";
    ProxyRefuses "proxy_refuses" Fail
        "The proxy itself refuses."
        "Look at the reason in the reference.";
    TokenUnusable "token_unusable" Fail
        "The token itself is damaged or of the wrong kind."
        "Copy it again, or create a new one in Grafana under Administration, Service accounts.";
    LostBeforeProxy "lost_before_proxy" Fail
        "The header is lost before the proxy."
        "Let the hop in front of the proxy pass `Authorization`; or let it carry the credential in another header, and name that in `authorization.restore_from`.";
    ChangedBeforeProxy "changed_before_proxy" Fail
        "The header is changed before the proxy."
        "Stop the hop in front of the proxy from changing `Authorization`.";
    RepairedByProxy "repaired_by_proxy" Warn
        "The header is changed before the proxy, which mends it."
        "Stop the hop in front of the proxy from changing `Authorization`; until then the proxy repairs each request.";
    LostAfterProxy "lost_after_proxy" Fail
        "The header is lost or spoilt after the proxy."
        "Let the hop between the proxy and Grafana pass `Authorization` as it comes, or point `upstream.url` at Grafana itself.";
    ChangedAfterProxy "changed_after_proxy" Fail
        "The header is changed after the proxy."
        "Stop the hop between the proxy and Grafana from changing `Authorization`, or point `upstream.url` at Grafana itself.";
    LostOnTheWay "lost_on_the_way" Fail
        "The header is lost or spoilt between here and Grafana."
        "Let every hop pass `Authorization` as it comes; put the proxy next to Grafana, and this command says on which side of it the header is lost.";
    ChangedOnTheWay "changed_on_the_way" Fail
        "The header is changed between here and Grafana."
        "Look for a hop that writes `Authorization` itself, and let it pass the one that came.";
    GrafanaRefuses "grafana_refuses" Fail
        "The header arrives, and Grafana refuses it."
        "Look at the reason in the reference.";
    IdentityDiffers "identity_differs" Fail
        "The header arrives, and Grafana takes the request for another caller: a hop signs in by itself, or overwrites the credential."
        "Look for a hop that sets `X-JWT-Assertion`, `Cf-Access-Jwt-Assertion`, `X-Goog-IAP-JWT-Assertion`, `X-WEBAUTH-USER`, `Remote-User`, `Authorization` or a session cookie, and let it leave requests alone that bring their own `Authorization`.";
    OrganisationDiffers "organisation_differs" Fail
        "The header arrives, and Grafana is asked for another organisation: a hop sets, changes or removes `X-Grafana-Org-Id`."
        "Look for the hop, and for the `org` settings of the proxy; if that organisation is intended, run this again with `--org`.";
    WrongOrganisation "wrong_organisation" Fail
        "The token works, in another organisation than the one that is wanted."
        "Create a token in the organisation that is wanted: a service account belongs to one.";
    PermissionMissing "permission_missing" Fail
        "The token works, and lacks a permission that is needed."
        "Give its service account a role that holds the permission.";
    UpgradeRefused "upgrade_refused" Fail
        "No WebSocket can be opened: live updates of dashboards fail."
        "Let each hop pass `Upgrade` and `Connection` (nginx: `proxy_http_version 1.1`, `proxy_set_header Upgrade $http_upgrade`).";
    UpgradeCut "upgrade_cut" Fail
        "A WebSocket or long answer is cut after a short silence."
        "Raise the idle timeout of the hop (nginx: `proxy_read_timeout`).";
    LargeHeaderRefused "large_header_refused" Fail
        "A large header does not pass: single sign-on has cookies of that size."
        "Raise the header limit of the hop (nginx: `large_client_header_buffers`; the proxy: `http.max_head`).";
    LargeBodyRefused "large_body_refused" Fail
        "A body as large as a dashboard does not pass."
        "Raise the body limit of the hop (nginx: `client_max_body_size`; the proxy: `http.max_body`).";
    LargeBodyLimited "large_body_limited" Warn
        "A large body does not pass: large dashboards and uploads will fail."
        "Raise the body limit of the hop (nginx: `client_max_body_size`; the proxy: `http.max_body`).";
    ClockSkewed "clock_skewed" Warn
        "The clocks of this machine and of the server differ."
        "Synchronise both: JWTs and expiry are judged by the clock.";
    TlsExpiresSoon "tls_expires_soon" Warn
        "The certificate expires soon."
        "Renew it, and reload what serves it.";
    TokenInClear "token_in_clear" Warn
        "The token crosses a public network unencrypted."
        "Use https:// in the URL.";
    RateLimited "rate_limited" Warn
        "Some requests of this walk met a rate limit."
        "Raise the limit, if callers meet it as well; else walk again later.";
    CookieDropped "cookie_dropped" Warn
        "Cookies are dropped on the way: browsers cannot stay signed in."
        "Let every hop pass `Cookie` as it comes.";
    AnonymousAccess "anonymous_access" Warn
        "Grafana serves this without any credential, too: a 200 alone does not show that the token was accepted."
        "Compare what the token may do with what anybody may, or switch `[auth.anonymous]` off.";
    SignedInByHop "signed_in_by_hop" Warn
        "A hop signs in requests that bring no credential: a 200 alone does not show that the token was accepted."
        "Let the hop sign in only people who have signed in to it: until then, everyone who reaches it is that caller.";
    ProxyNotSeen "proxy_not_seen" Warn
        "No grafana-token-proxy is on the way."
        "If one should be: let the Service or the hop point at the proxy's port instead of Grafana's.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_texts_are_sentences() {
        let mut seen = HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.name()), "{}", code.name());
            assert!(code.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            for text in [code.means(), code.next()] {
                assert!(
                    text.ends_with(['.', '?']) && text.starts_with(char::is_uppercase) && !text.contains("  "),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn the_reference_tells_each_verdict_in_these_words() {
        let page = include_str!("../../../docs/doctor.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} | {} | {} |", code.name(), code.weight().name(), code.means(), code.next());
            assert!(page.contains(&row), "docs/doctor.md lacks this row:\n{row}");
        }
        let rows = page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 3).count();
        assert_eq!(rows, Code::ALL.len(), "docs/doctor.md tells a verdict that is none");
    }
}
