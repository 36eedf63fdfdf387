//! Refusals that hang on who signed in: identity headers, JWTs, carriers, and tokens in the wrong place.

use bytes::Bytes;

use super::super::super::misplaced::Misplaced;
use super::super::super::sign_in::{CarrierUnused, DroppedIdentity, IdentityDropped, UnusedCarrier};
use super::*;

const FORBIDDEN: &str = r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions to perform this action. Permissions needed: folders:read","title":"Access denied"}"#;
const PEER: &str = "192.0.2.9";

fn without_token() -> RequestFacts {
    request(Method::GET, "/api/folders")
}

fn unauthorised(request: &RequestFacts) -> Verdict {
    verdict(request, 401, &grafanas(), &named("auth.unauthorized", 401)).unwrap()
}

fn forbidden(request: &RequestFacts) -> Verdict {
    verdict(request, 403, &grafanas(), FORBIDDEN).unwrap()
}

fn with_jwt(mut request: RequestFacts) -> RequestFacts {
    request.carriers.jwt = true;
    request.names.get_or_insert_default().jwt_in = Some(Bytes::from_static(b"X-JWT-Assertion"));
    request
}

fn with_identity(mut request: RequestFacts) -> RequestFacts {
    request.carriers.auth_proxy = true;
    request.names.get_or_insert_default().identity_in = Some(Bytes::from_static(b"X-WEBAUTH-USER"));
    request
}

fn with_dropped(mut request: RequestFacts, name: &'static str, why: IdentityDropped) -> RequestFacts {
    let name = Bytes::from_static(name.as_bytes());
    request.names.get_or_insert_default().identity_dropped =
        Some(DroppedIdentity { name, why, peer: PEER.parse().unwrap() });
    request
}

fn with_carrier(mut request: RequestFacts, why: CarrierUnused) -> RequestFacts {
    request.names.get_or_insert_default().carrier_unused =
        Some(UnusedCarrier { name: Bytes::from_static(b"X-Forwarded-Authorization"), why });
    request
}

fn with_password() -> RequestFacts {
    let mut request = without_token();
    (request.auth.received, request.auth.sent) = (AuthForm::Basic, AuthForm::Basic);
    request
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[test]
fn a_dropped_identity_header_is_said_first() {
    for (why, name, detail, hint) in [
        (
            IdentityDropped::UntrustedPeer,
            "X-WEBAUTH-USER",
            "`X-WEBAUTH-USER` came from 192.0.2.9, which is not in `clients.trusted_proxies`, and was dropped.",
            "Add the proxy in front (192.0.2.9) to `clients.trusted_proxies`",
        ),
        (
            IdentityDropped::NotConfigured { trusted: true },
            "X-WEBAUTH-USER",
            "`X-WEBAUTH-USER` is not in `clients.identity_headers`, and was dropped.",
            "Name `X-WEBAUTH-USER` in `clients.identity_headers`",
        ),
        (
            IdentityDropped::NotConfigured { trusted: false },
            "Remote-User",
            "`Remote-User` is not in `clients.identity_headers`, nor is 192.0.2.9, from which it came, in",
            "Name `Remote-User` in `clients.identity_headers`, and add the proxy in front (192.0.2.9)",
        ),
        (
            IdentityDropped::Alias { configured: true },
            "X_WEBAUTH_USER",
            "`X_WEBAUTH_USER` is another spelling of a header that names a user, and was dropped",
            "Send `X_WEBAUTH_USER` in exactly the configured spelling",
        ),
        (
            IdentityDropped::Alias { configured: false },
            "X_WEBAUTH_USER",
            "`X_WEBAUTH_USER` is another spelling",
            "Send `X_WEBAUTH_USER` with hyphens only",
        ),
    ] {
        let request = with_dropped(without_token(), name, why);
        let found = unauthorised(&request);
        assert_eq!(found.reason, Reason::CredentialMissing);
        assert!(found.detail.starts_with(detail) && found.hint.starts_with(hint), "{found:?}");
        assert!(!found.detail.contains("There is no") && !found.hint.contains("removes it"), "{found:?}");
        let page = headers(&[("location", "/login")]);
        let found = verdict(&request, 302, &page, "").unwrap();
        assert_eq!(found.reason, Reason::RedirectedToLogin);
        assert!(found.detail.starts_with(detail) && found.hint.starts_with(hint), "{found:?}");
        // The anonymous visitor was judged instead of the user whom it names.
        let found = forbidden(&request);
        assert!(found.detail.starts_with(detail) && found.hint.starts_with(hint), "{found:?}");
    }
}

#[test]
fn a_dropped_identity_header_means_nothing_beside_a_token_that_was_accepted() {
    let why = IdentityDropped::UntrustedPeer;
    let request = with_dropped(with_token("/api/folders", SOUND), "X-WEBAUTH-USER", why);
    let found = forbidden(&request);
    assert!(!found.detail.contains("WEBAUTH") && found.hint.contains("the token's service account"), "{found:?}");
    // Where it was refused, Grafana would have tried the header next.
    let found = verdict(&request, 401, &grafanas(), &named("api-key.expired", 401)).unwrap();
    assert!(found.detail.contains("WEBAUTH") && found.hint.contains("new token"), "{found:?}");
}

#[test]
fn a_carrier_that_gave_way_is_named() {
    let wins = CarrierUnused::AuthorizationWins;
    let password = with_carrier(with_password(), wins);
    let sentence =
        "The credential in `X-Forwarded-Authorization` was not used, because `Authorization` held user and password.";
    let step = "Let the proxy in front stop sending its own `Authorization` beside `X-Forwarded-Authorization`; if";
    let refused = verdict(&password, 401, &grafanas(), &named("password-auth.failed", 401)).unwrap();
    assert_eq!(refused.reason, Reason::PasswordWrong);
    for found in [refused, forbidden(&password)] {
        assert!(found.detail.starts_with(sentence) && found.hint.starts_with(step), "{found:?}");
    }
    let token = with_carrier(with_token("/api/folders", SOUND), wins);
    says(&forbidden(&token).detail, &["because `Authorization` held another token"]);
    let untrusted = with_carrier(without_token(), CarrierUnused::UntrustedPeer(PEER.parse().unwrap()));
    let found = unauthorised(&untrusted);
    says(&found.detail, &["`X-Forwarded-Authorization` was not used, because it came from 192.0.2.9"]);
    says(&found.hint, &["Add the proxy in front (192.0.2.9) to `clients.trusted_proxies`"]);
    // A quota is not about the caller.
    let quota = verdict(&password, 403, &grafanas(), r#"{"message":"dashboard Quota reached"}"#).unwrap();
    assert!(!quota.detail.contains("X-Forwarded"), "{quota:?}");
}

#[test]
fn a_jwt_beside_a_token_may_be_what_was_judged() {
    let both = with_jwt(with_token("/api/folders", SOUND));
    let found = forbidden(&both);
    assert_eq!((found.reason, found.permission.as_deref()), (Reason::PermissionMissing, Some("folders:read")));
    says(
        &found.detail,
        &["A JWT in `X-JWT-Assertion` came along, and Grafana tries it before the token: its user may be the one who \
           lacks `folders:read`."],
    );
    assert!(
        found.hint.starts_with(
            "Give the user of the JWT in `X-JWT-Assertion` (or, where Grafana passed over that, the token's service account) a role"
        ),
        "{found:?}"
    );
    for body in [r#"{"message":"Permission denied"}"#, r#"{"message":"forbidden"}"#, r#"{"message":"Access denied"}"#] {
        let found = verdict(&both, 403, &grafanas(), body).unwrap();
        says(&found.detail, &["its user may be the one who was refused"]);
        says(&found.hint, &["the user of the JWT in `X-JWT-Assertion` (or"]);
    }
    // A damaged token beside it is not what Grafana refused first.
    let damaged = with_jwt(with_token("/api/folders", b"glsa_yscW25imSKJIuav8zF37RZmnbiDvB05G_fcaaf58b"));
    let found = forbidden(&damaged);
    assert_eq!(found.reason, Reason::PermissionMissing);
    assert!(!found.hint.contains("service account") && found.detail.contains("checksum"), "{found:?}");
}

#[test]
fn a_jwt_beside_a_token_may_be_what_a_401_is_about() {
    let both = with_jwt(with_token("/api/folders", SOUND));
    let unknown = verdict(&both, 401, &grafanas(), r#"{"message":"Unauthorized","traceID":""}"#).unwrap();
    assert_eq!(unknown.reason, Reason::TokenUnknown);
    says(&unknown.detail, &["`X-JWT-Assertion`", "the response may be about the JWT"]);
    let expired = verdict(&both, 401, &grafanas(), &named("api-key.expired", 401)).unwrap();
    says(&expired.detail, &["does not seem to read"]);
    let invalid = verdict(&both, 401, &grafanas(), &named("jwt.invalid", 401)).unwrap();
    assert_eq!(invalid.reason, Reason::JwtInvalid);
    says(&invalid.detail, &["Grafana tries it after the JWT, so it was not accepted either"]);
    says(&invalid.hint, &["If the token was meant", "`X-JWT-Assertion`"]);
    let older = verdict(&both, 401, &grafanas(), r#"{"message":"Invalid JWT","traceID":""}"#).unwrap();
    says(&older.detail, &["up to 10.0, Grafana refuses a JWT that it does not accept"]);
    for id in ["identity.disabled", "user.sync.fetch-not-found"] {
        let found = verdict(&both, 401, &grafanas(), &named(id, 401)).unwrap();
        says(&found.hint, &["the user of the JWT in `X-JWT-Assertion`", "Grafana does not say which"]);
    }
    let mut query = with_token("/api/folders?auth_token=x", SOUND);
    query.carriers.jwt = true;
    says(&forbidden(&query).detail, &["A JWT in `auth_token` of the query came along"]);
}

#[test]
fn a_jwt_alone_that_grafana_does_not_read_is_named() {
    let found = unauthorised(&with_jwt(without_token()));
    assert_eq!(found.reason, Reason::CredentialMissing);
    says(&found.detail, &["Grafana does not read the JWT in `X-JWT-Assertion`"]);
    says(&found.hint, &["Authorization: Bearer", "`[auth.jwt]`"]);
    says(&forbidden(&with_jwt(without_token())).hint, &["Give the user of the JWT in `X-JWT-Assertion` a role"]);
}

#[test]
fn the_user_named_by_a_header_was_judged() {
    let alone = with_identity(without_token());
    let refused = unauthorised(&alone);
    assert_eq!(refused.reason, Reason::CredentialNotRecognised);
    says(&refused.detail, &["Grafana refused the user named by `X-WEBAUTH-USER`"]);
    says(&refused.hint, &["`[auth.proxy]`", "`X-WEBAUTH-USER`"]);
    let found = forbidden(&alone);
    says(&found.detail, &["`X-WEBAUTH-USER` named the user whom Grafana judged"]);
    says(&found.hint, &["Give the user named by `X-WEBAUTH-USER` a role"]);
    let missing = verdict(&alone, 401, &grafanas(), &named("user.sync.fetch-not-found", 401)).unwrap();
    says(&missing.detail, &["`X-WEBAUTH-USER` named the user whom Grafana refused"]);
    for body in [
        r#"{"message":"Unauthorized"}"#,
        r#"{"message":"Unauthorized","traceID":""}"#,
        r#"{"message":"Permission denied"}"#,
        r#"{"message":"Invalid Basic Auth Header","traceID":""}"#,
        FORBIDDEN,
        "",
    ] {
        for status in [401, 403] {
            let found = verdict(&alone, status, &grafanas(), body).unwrap();
            assert_ne!(found.reason, Reason::CredentialMissing, "{body}");
            for never in ["no `Authorization`", "no credential", "missing credential", "anonymous visitor lacks"] {
                assert!(!found.detail.contains(never) && !found.hint.contains(never), "{found:?}");
            }
        }
    }
    let both = with_identity(with_token("/api/folders", SOUND));
    let found = forbidden(&both);
    says(&found.detail, &["`X-WEBAUTH-USER` named a user", "where Grafana did not accept the token"]);
    says(
        &found.hint,
        &["the token's service account (or, where Grafana passed over that, the user named by `X-WEBAUTH-USER`)"],
    );
}

#[test]
fn a_token_in_the_wrong_place_is_named_with_its_place() {
    let header = Misplaced::Header(Bytes::from_static(b"X-Grafana-Service-Account-Token"));
    let cookie = Misplaced::Cookie(Bytes::from_static(b"grafana_token"));
    let secret = Misplaced::Header(Bytes::from_static(SOUND));
    let token = std::str::from_utf8(SOUND).unwrap();
    for (place, query, named, step) in [
        (Some(header), "", "`X-Grafana-Service-Account-Token`", "`authorization.restore_from`"),
        (Some(cookie), "", "the cookie `grafana_token`", "`Authorization: Bearer <token>`"),
        (Some(secret), "", "another header", "`authorization.restore_from`"),
        (None, "apitoken", "`apitoken` in the query", "URLs are logged"),
        (None, "whatever", "`whatever` in the query", "URLs are logged"),
    ] {
        let target = if query.is_empty() { "/api/org".to_owned() } else { format!("/api/org?a=b&{query}={token}") };
        let mut request = request(Method::GET, &target);
        request.names.get_or_insert_default().misplaced = place;
        let found = unauthorised(&request);
        assert_eq!(found.reason, Reason::CredentialMissing);
        says(&found.detail, &[&format!("a token is in {named}, where Grafana does not read it")]);
        says(&found.hint, &[&format!("Move the token from {named} to `Authorization: Bearer <token>`"), step]);
        assert!(!format!("{found:?}").contains("yscW25imSKJIuav"), "{found:?}");
        // Beside a session that is over, and where a visitor lacks a permission.
        says(&forbidden(&request).hint, &["Move the token from"]);
        request.session_cookie = true;
        let found = verdict(&request, 401, &grafanas(), r#"{"message":"Unauthorized"}"#).unwrap();
        assert_eq!(found.reason, Reason::SessionExpired);
        says(&found.detail, &["A token is in", named]);
        says(&found.hint, &["Move the token from"]);
    }
    let mut empty = request(Method::GET, "/api/org");
    empty.auth.received = AuthForm::Bearer;
    (empty.auth.sent, empty.auth.spelling) = (AuthForm::Bearer, Spelling::Empty);
    empty.names.get_or_insert_default().misplaced = Some(Misplaced::Header(Bytes::from_static(b"X-Api-Token")));
    says(&unauthorised(&empty).detail, &["nothing behind the scheme", "`X-Api-Token`"]);
}
