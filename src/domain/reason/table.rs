//! The table itself: one row for each reason, as `Variant "code" Source [statuses] Level`, title, cause, cure.

reasons! {
    TokenRateLimited "token_rate_limited" Proxy [429] Warn "Token over its rate";
        "This token sent more requests than `limits.per_token` allows. All spellings of one token share one bucket.";
        "Wait as long as `Retry-After` says; send fewer requests, or raise `limits.per_token` or the \
         token's own `limit`.".
    ClientRateLimited "client_rate_limited" Proxy [429] Warn "Address over its rate";
        "This address sent more requests without a credential, or with credentials that Grafana has not accepted \
         so far, than `limits.per_client` allows.";
        "Wait as long as `Retry-After` says, or send a credential that Grafana accepts: it has a bucket of its \
         own. Behind another proxy, list it in `clients.trusted_proxies`, or all its clients count as one.".
    AuthFailuresLimited "auth_failures_limited" Proxy [429] Warn "Too many failed credentials";
        "This address caused more 401s than `limits.auth_failures` allows, so credentials that Grafana has \
         not accepted are refused before they reach it.";
        "Find the caller that retries with a bad credential and mend or stop it; credentials that work are \
         not held up.".
    OrgOverrideRefused "org_override_refused" Proxy [403] Warn "Other organisation refused";
        "With `org.mode: pin`, or with contradicting headers, the request named an organisation that it may \
         not choose, or none where one is needed: in a path below `/apis/`, or by a `Host` of `org.by_host`.";
        "Drop the client's own `X-Grafana-Org-Id`, `orgId` or `targetOrgId`, name the pinned organisation \
         (below `/apis/` as `/namespaces/org-2/`), ask a host of `org.by_host`, or set `org.mode: fill`.".
    CallerNotAllowed "caller_not_allowed" Proxy [403] Warn "Call not on the token's list";
        "The token has an `allow` list in the configuration, and this method and path are not on it.";
        "Add the method and path to the token's `allow` list, or use a token that is meant for this call.".
    CredentialConflict "credential_conflict" Proxy [400] Warn "Two different credentials";
        "The request carries two different credentials in `Authorization`; Grafana would read the first and \
         ignore the other.";
        "Send one. Usually a client and a hop in front of us each add their own: remove one of them.".
    MethodRefused "method_refused" Proxy [405] Warn "Method not forwarded";
        "`CONNECT` and `TRACE` are not forwarded: the first makes tunnels, the second shows credentials to scripts.";
        "Use another method: Grafana serves nothing under these.".
    BodyTooLarge "body_too_large" Proxy [413] Warn "Request body too large";
        "The request's body is larger than `http.max_body`.";
        "Send less at once, or raise `http.max_body` (unset: Grafana decides).".
    Overloaded "overloaded" Proxy [503] Error "Too much at once";
        "More connections than `http.max_connections`, or more requests in flight than `http.max_in_flight`.";
        "Retry after `Retry-After`. If Grafana is slow, look there first; else raise the limit or add a replica.".
    ShuttingDown "shutting_down" Proxy [503] Error "Shutting down";
        "This instance was told to stop and finishes what it has begun; it takes no new requests.";
        "Retry: another replica answers. If clients see this often, set `shutdown.delay` so that the load \
         balancer notices first.".
    LimitsUnavailable "limits_unavailable" Proxy [503] Error "Shared limits unreachable";
        "The store of the shared limits does not answer, and `limits.shared_failure` is `closed`.";
        "Bring the store back, or choose `shared_failure: local` to go on with limits of this replica alone.".
    UpstreamUnreachable "upstream_unreachable" Proxy [502] Error "Grafana cannot be reached";
        "No connection to `upstream.url` could be made: refused, timed out, name not found, or TLS failed.";
        "Check that Grafana runs and listens where `upstream.url` points: `curl -i <upstream.url>/api/health` \
         from the proxy's own pod.".
    UpstreamReset "upstream_reset" Proxy [502] Error "Grafana closed the connection";
        "The connection to Grafana was closed before an answer came, for example because Grafana restarted \
         or ran out of memory.";
        "Retry. If it recurs, read Grafana's own log of that moment; a hop between may have a shorter idle \
         timeout than ours.".
    UpstreamMalformed "upstream_malformed" Proxy [502] Error "Answer cannot be read";
        "What came back from `upstream.url` is not an HTTP answer, for example because the port speaks TLS \
         or another protocol.";
        "Check scheme and port of `upstream.url`: `https` where Grafana has `protocol = https`, and \
         Grafana's port, not a database's.".
    UpstreamTimeout "upstream_timeout" Proxy [504] Error "Grafana took too long";
        "The head of the answer did not come within `upstream.response_timeout`, often because of a slow \
         datasource query.";
        "Make the query cheaper, or raise `upstream.response_timeout`; if everything is slow, look at \
         Grafana and its database.".
    InternalError "internal_error" Proxy [500] Error "Our own fault";
        "Something failed in the proxy that should not be able to fail.";
        "Report it with the log line of this `request_id`; a retry probably works.".
    NewlineInHead "newline_in_head" Client [400] Warn "Line break in the credential";
        "A real line break stands in or next to the credential, so the request's head ends or breaks there. \
         It usually comes from a token read from a file with its final newline.";
        "Strip the newline where the token is read: `tr -d '\\r\\n'`, `strip()`, `echo -n` when the secret is made.".
    HeadMalformed "head_malformed" Client [400] Warn "Request head cannot be read";
        "The head is not valid HTTP: a control character, two `Host` lines or none, a blank before a colon, \
         contradicting lengths.";
        "Mend the client, or what assembles the head between it and us: the line's `detail` names the place.".
    HeadTooLarge "head_too_large" Client [414 431] Warn "Request head too large";
        "The head is larger than `http.max_head`, or has more lines than `http.max_headers`; usually cookies piled up.";
        "Clear the browser's cookies for this host, shorten the URL, or raise `http.max_head`.".
    HeadTimeout "head_timeout" Client [408] Warn "Request head came too slowly";
        "The head was not complete within `http.head_timeout`.";
        "Look for a stalled client or network; a load balancer that opens spare connections is harmless.".
    BodyMalformed "body_malformed" Client [400] Warn "Request body cannot be read";
        "The body's framing is broken: a bad chunk, or fewer bytes than `Content-Length` promised.";
        "Mend the client, or a hop that changes the body without changing its length.".
    BodyTimeout "body_timeout" Client [408] Warn "Request body stalled";
        "No further piece of the body came within `http.body_timeout`.";
        "Look for a stalled client or network, or raise `http.body_timeout` for slow uploads.".
    TlsFailed "tls_failed" Client [] Warn "TLS handshake failed";
        "The client and we could not agree on TLS: plain HTTP on a TLS port, an unknown authority, no or a \
         wrong client certificate.";
        "Use `https://`, trust our authority in the client, and send the client certificate that \
         `tls.client_auth` asks for.".
    CredentialMissing "credential_missing" Grafana [401 403] Warn "No credential";
        "The request reached Grafana without a credential that it reads: no `Authorization`, or a scheme \
         with nothing behind it. `X-API-Key`, `Proxy-Authorization` and the query string are never read.";
        "Send `Authorization: Bearer <service account token>`. If the client does send it, a hop in front \
         of us removes it: send `X-Token-Proxy-Probe: 1`, read in `X-Token-Proxy-Saw` what reached us, and let \
         that hop copy the header to one that `authorization.restore_from` names.".
    CredentialNotRecognised "credential_not_recognised" Grafana [401 403] Warn "Credential not recognised";
        "A credential was sent, and Grafana saw none that it knows: the scheme is not exactly `Bearer` or \
         `Basic`, basic authentication is off, or the header was lost on the way.";
        "Send `Authorization: Bearer <token>`, exactly so, or switch `authorization.repair` on.".
    TokenMalformed "token_malformed" Grafana [401 403] Warn "Token damaged";
        "What stands behind `Bearer` is no whole token: cut off, a character changed (checksum), quotes or \
         a literal `\\n` around it, base64 over it, or a placeholder that nobody filled in.";
        "Copy the token again, whole and bare. Grafana shows a token only once: if it is lost, make a new one.".
    TokenWrongKind "token_wrong_kind" Grafana [401 403] Warn "Token of another service";
        "A `glc_…` token belongs to Grafana Cloud's own API and a JWT to an identity provider; this Grafana \
         takes service account tokens (`glsa_…`).";
        "Make a service account in this Grafana and use its token.".
    TokenUnknown "token_unknown" Grafana [400 401 500] Warn "Token unknown to this Grafana";
        "The token is well formed, but this Grafana does not have it: deleted, made by another instance, or \
         lost when a database was restored. Grafana 9.0 – 9.3 says so with a 500; Grafana from 10.1 on says \
         the same when its database fails.";
        "Make a new token here. If only some requests fail, look at Grafana's database (locked SQLite) instead.".
    TokenExpired "token_expired" Grafana [401] Warn "Token expired";
        "The token's expiry date has passed.";
        "Add a new token to the service account and replace the old one where it is used.".
    TokenRevoked "token_revoked" Grafana [401] Warn "Token revoked";
        "The token was revoked, usually because secret scanning found it in public.";
        "Treat it as leaked: make a new token, replace the old one, and look for where it was published.".
    ServiceAccountDisabled "service_account_disabled" Grafana [401] Warn "Service account disabled";
        "The token is right, but its service account is disabled.";
        "Enable the service account under Administration → Service accounts, or use a token of another.".
    OrgMismatch "org_mismatch" Grafana [401] Warn "Token of another organisation";
        "A token belongs to one organisation, and the request asked for another by `X-Grafana-Org-Id` or \
         `targetOrgId`. Grafana refuses that since 10.4; older ones ignore the header.";
        "Leave the organisation out or name the token's own; for another organisation, make a token there.".
    PasswordWrong "password_wrong" Grafana [400 401] Warn "User or password wrong";
        "Grafana did not accept user and password. It says the same for a wrong password, an unknown user \
         and, in most versions, a disabled or locked one.";
        "Check both, and wait five minutes after five failures. For a program, use a service account token instead.".
    LoginBlocked "login_blocked" Grafana [400 401] Warn "Login blocked for now";
        "Too many failed logins: Grafana refuses this user (or address) for five minutes, even with the \
         right password.";
        "Stop whatever retries with a wrong password, and wait five minutes.".
    JwtInvalid "jwt_invalid" Grafana [401 403] Warn "JWT not accepted";
        "Grafana's `auth.jwt` could not accept the JWT: signature, expiry, issuer, a missing claim, or a \
         role that it does not know.";
        "Compare the JWT's claims and keys with `[auth.jwt]` in Grafana's configuration, and its clock with \
         the issuer's.".
    SessionExpired "session_expired" Grafana [401] Warn "Session over";
        "The session cookie is no longer good: logged out, expired, or unknown to this Grafana.";
        "Log in again. If all users are thrown out at once, Grafana lost its database or `secret_key`, or \
         replicas do not share them.".
    SessionRotationDue "session_rotation_due" Grafana [401] Warn "Session must be rotated";
        "The session cookie is older than the rotation interval; Grafana wants it exchanged first.";
        "Browsers do this by themselves. A script must `POST /api/user/auth-tokens/rotate` and keep the new \
         cookie, or better use a token.".
    SessionRevoked "session_revoked" Grafana [401] Warn "Session revoked";
        "The session was revoked, usually because the user logged in more often than the limit of \
         concurrent sessions allows.";
        "Log in again, and raise `max_concurrent_sessions` if that limit is too low.".
    OauthExpired "oauth_expired" Grafana [401] Warn "Single sign-on expired";
        "The access token of the identity provider expired, and Grafana could not refresh it.";
        "Log in again. If it recurs, let Grafana have refresh tokens (`use_refresh_token`, scope `offline_access`).".
    UserMissing "user_missing" Grafana [401 403 500] Warn "Account does not exist";
        "The credential is right, but the account behind it is gone or was never made: a deleted service \
         account, or a user whom JWT, proxy or SCIM names and Grafana may not create.";
        "Make the account, allow sign-up for this way of logging in, or use a credential of an account that exists.".
    UserDisabled "user_disabled" Grafana [401] Warn "User disabled";
        "The credential is right, but the user is disabled.";
        "A server administrator can enable the user under Administration → Users.".
    AuthProxyRefused "auth_proxy_refused" Grafana [401 407 500] Warn "Proxy login refused";
        "`auth.proxy` did not accept the user header: the address that Grafana sees is not in its \
         `whitelist`, or the login failed. Behind us, that address is ours.";
        "Add our address to `[auth.proxy] whitelist`, or stop sending the user header.".
    RenderKeyInvalid "render_key_invalid" Grafana [401] Warn "Render key unknown";
        "The image renderer's cookie `renderKey` is unknown: it expired, or the picture was asked of another replica.";
        "Let the renderer's callback reach the replica that started it, and check the renderer's `callback_url`.".
    FeatureDisabled "feature_disabled" Grafana [401 403] Warn "Feature switched off";
        "Grafana's configuration switches off what was asked for (sign-up, the login form, external \
         snapshots, quotas …).";
        "Switch it on in Grafana's configuration, or do without it: the credential is not at fault.".
    UnauthorizedUnexplained "unauthorized_unexplained" Grafana [401 500] Warn "Refused without a reason";
        "Grafana refused the credential and did not say why: here, expired, revoked, disabled and unknown \
         look the same.";
        "Send the credential to `GET /api/org`, which tells more, or read Grafana's log of that moment.".
    PermissionMissing "permission_missing" Grafana [401 403] Warn "Permission missing";
        "The caller is known, and lacks the permission that this call needs, or has it for other objects only.";
        "Give the service account (or user) a role that contains the permission, or use another credential. \
         `GET /api/access-control/user/permissions` lists what it has.".
    RoleTooLow "role_too_low" Grafana [403] Warn "Role too low";
        "The call needs a higher role in the organisation, or the server administrator, whom no token can be.";
        "Raise the role, or, for server-wide calls, use the server administrator's user and password.".
    OriginNotAllowed "origin_not_allowed" Grafana [403] Warn "Origin not allowed";
        "Grafana's CSRF check: the request carries a session cookie (even a dead one), and the host in \
         `Origin` is not the host in `Host`.";
        "Let every proxy pass `Host` unchanged (`proxy_set_header Host $http_host`), or list the bare host \
         name in `[security] csrf_trusted_origins`.".
    LiveOriginNotAllowed "live_origin_not_allowed" Grafana [403] Warn "Origin not allowed for Live";
        "Grafana Live takes WebSockets only from its own origin: `Origin` is neither `Host` nor `root_url`; \
         ports count.";
        "Let every proxy pass `Host` unchanged, set `root_url` to what browsers see, or list the origin in \
         `[live] allowed_origins`.".
    QuotaReached "quota_reached" Grafana [401 403] Warn "Quota reached";
        "A quota of Grafana (dashboards, users, datasources, alert rules …) is used up.";
        "Delete what is not needed, or raise the quota in `[quota]` or by the quota API.".
    UsersOnly "users_only" Grafana [403] Warn "For users only";
        "This endpoint is about the signed-in user; a token belongs to none.";
        "Call `GET /api/org` to test a token. Where the call really is about a user, log in as that user.".
    FolderDenied "folder_denied" Grafana [403] Warn "No access to the folder or dashboard";
        "The caller may use this kind of object, but not in this folder or dashboard; a folder that does \
         not exist can look the same.";
        "Check the folder's uid and organisation, then give the caller View, Edit or Admin in the folder's \
         permissions.".
    NotAMember "not_a_member" Grafana [401 403 404] Warn "Not a member of the organisation";
        "The request asks for an organisation to which the caller does not belong, or which does not exist.";
        "Add the user to that organisation, or ask for another. A service account exists in one \
         organisation only: make a token there.".
    DatasourceDenied "datasource_denied" Grafana [403] Warn "No access to the datasource";
        "The datasource has permissions of its own, and they do not let the caller query it.";
        "Add the caller, its team or its role to the datasource's permissions.".
    DatasourcePolicy "datasource_policy" Grafana [403] Warn "Call to the datasource not allowed";
        "Grafana's datasource proxy lets only some calls through: by method and path for each kind, and by \
         `data_source_proxy_whitelist`.";
        "Use the query API (`POST /api/ds/query`), talk to the datasource itself, or extend the white-list.".
    ReadOnly "read_only" Grafana [403] Warn "Provisioned, read-only";
        "The object is managed by files or by another system, so the API may not change it.";
        "Change it where it is provisioned from, or mark it `editable: true` there.".
    ForbiddenUnexplained "forbidden_unexplained" Grafana [403] Warn "Forbidden without a reason";
        "Grafana refused and did not say which permission or role was lacking.";
        "Read the message in the body and Grafana's log of that moment, and compare the caller's \
         permissions with what the call needs.".
    GrafanaRateLimited "grafana_rate_limited" Grafana [429] Warn "Grafana's own limit";
        "Grafana limits how fast browsers may report front-end logs; it has no other limit of its own up to \
         version 11.";
        "Harmless for users. Raise `log_endpoint_requests_per_second_limit` in `[log.frontend]` if the logs matter.".
    ApiserverRateLimited "apiserver_rate_limited" Grafana [429] Warn "Grafana's API server is busy";
        "Grafana's Kubernetes-style API has too many requests in flight, or its storage pushes back.";
        "Wait as long as `Retry-After` says, send fewer requests at once, and watch less.".
    DatasourceUnauthorized "datasource_unauthorized" Datasource [400 401] Warn "Datasource refused its credential";
        "Grafana accepted the caller, and the datasource did not accept what Grafana is configured to send \
         it. The datasource proxy shows that as 400.";
        "Mend the credential in the datasource's settings: the caller's token is fine.".
    DatasourceForbidden "datasource_forbidden" Datasource [400 403] Warn "Datasource forbids it";
        "Grafana passed the request on, and the datasource answered 403.";
        "Give the datasource's own credential (or tenant) the right to do this: the caller's token is fine.".
    DatasourceRateLimited "datasource_rate_limited" Datasource [400 429] Warn "Datasource over its rate";
        "Grafana passed the request on, and the datasource answered 429.";
        "Query less, or raise the limits of the datasource (Loki, Mimir, Prometheus gateway …).".
    HopUnauthorized "hop_unauthorized" Hop [302 401 407] Warn "Refused between us and Grafana";
        "The answer does not bear Grafana's marks: something between us and Grafana wants a credential of its own.";
        "Point `upstream.url` at Grafana itself, or give the hop what it wants.".
    HopForbidden "hop_forbidden" Hop [403] Warn "Forbidden between us and Grafana";
        "The answer does not bear Grafana's marks: a firewall, mesh policy or gateway between us and Grafana refused.";
        "Point `upstream.url` at Grafana itself, or add a rule to the hop (Istio AuthorizationPolicy, WAF, ingress).".
    HopRateLimited "hop_rate_limited" Hop [429] Warn "Limited between us and Grafana";
        "The answer does not bear Grafana's marks: a gateway or CDN between us and Grafana limits requests.";
        "Point `upstream.url` at Grafana itself, or raise the hop's limit.".
    RedirectedToLogin "redirected_to_login" Grafana [302] Info "Sent to the login page";
        "A page was asked for without a credential that works; Grafana sends browsers to the login page \
         instead of answering 401, and never says why.";
        "In a browser, log in. A program should call `/api/…`, where the answer says what is wrong.".
    RedirectedHome "redirected_home" Grafana [302] Info "Sent to the home page";
        "The caller is known but may not see this page; Grafana redirects to the home page instead of answering 403.";
        "Raise the caller's role or permissions. A program should call `/api/…`, where the answer says what \
         is missing.".
    RedirectedToRootUrl "redirected_to_root_url" Grafana [301 302] Info "Sent to root_url";
        "Grafana redirects to its `root_url`: because of `enforce_domain`, of a missing sub-path, or of \
         `?orgId=`. Clients drop `Authorization` when they follow to another host.";
        "Call Grafana by the host and path in `root_url`, let every proxy pass `Host` unchanged, and use \
         `X-Grafana-Org-Id` instead of `?orgId=`.".
    EndpointRemoved "endpoint_removed" Grafana [404 410] Warn "Endpoint removed";
        "This version of Grafana no longer has the endpoint; API keys went with it (`/api/auth/keys`, since \
         11.3 and 12.1).";
        "Use service accounts: `POST /api/serviceaccounts`, then `POST /api/serviceaccounts/{id}/tokens`.".
}
