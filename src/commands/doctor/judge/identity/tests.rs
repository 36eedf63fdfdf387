use proptest::prelude::*;

use super::super::judge as conclude;
use super::super::tests::{NONE_401, SAW, SAW_NONE, TOKEN, UNKNOWN_401, grafana, healthy, way};
use super::*;

const ADMIN: &str = r#"{"id":1,"uid":"u1","login":"admin","name":"Somebody Private","email":"somebody@example.com"}"#;
const VIEWER: &str = r#"{"id":2,"uid":"u2","login":"viewer"}"#;
const MACHINE: &str = r#"{"id":0,"uid":"service-account:2","login":"sa-1-ci"}"#;
const USERS_ONLY: &str = r#"{"message":"Endpoint only available for users"}"#;
const MISMATCH: &str = r#"{"message":"API key does not belong to the requested organization","messageId":"api-key.organization-mismatch"}"#;
const NOT_ALLOWED: &str = r#"{"accessErrorId":"ACE1","message":"You'll need additional permissions to perform this action. Permissions needed: orgs:read","title":"Access denied"}"#;

/// Whom each way sees with the credential: status and body of `/api/user`.
fn seen(url: (u16, &str), direct: (u16, &str)) -> Observations {
    let mut seen = healthy();
    for (way, (status, body)) in seen.ways.iter_mut().zip([url, direct]) {
        way.user = grafana(true, status, &[], body);
    }
    seen
}

fn code(seen: &Observations) -> Code {
    conclude(seen).code()
}

fn found(seen: &Observations) -> (Code, String, String) {
    let finding = conclude(seen).finding.unwrap();
    (finding.code, finding.detail, finding.next)
}

/// A credential that belongs to a user.
fn of_user(mut seen: Observations) -> Observations {
    if let Some(facts) = &mut seen.credential {
        (facts.form, facts.kind) = (crate::domain::credential::AuthForm::Basic, None);
    }
    let basic = "x-token-proxy-saw: probe=p; auth_received=basic; auth_sent=basic; version=1";
    seen.ways[0].with = grafana(true, 200, &[basic], r#"{"id":1}"#);
    seen
}

#[test]
fn the_same_caller_is_healthy_in_every_version() {
    for (url, direct) in [
        ((200, MACHINE), (200, MACHINE)),
        ((403, USERS_ONLY), (403, USERS_ONLY)),
        ((404, r#"{"message":"user not found"}"#), (404, r#"{"message":"user not found"}"#)),
        // Two replicas during an upgrade.
        ((200, MACHINE), (403, USERS_ONLY)),
        // Nothing is shown.
        ((404, r#"{"message":"Not found"}"#), (200, MACHINE)),
        ((500, "oops"), (502, "")),
    ] {
        assert_eq!(code(&seen(url, direct)), Code::Healthy, "{url:?} {direct:?}");
    }
}

#[test]
fn another_caller_is_named_by_login_alone() {
    for direct in [(200, MACHINE), (403, USERS_ONLY), (200, VIEWER)] {
        let (code, detail, next) = found(&seen((200, ADMIN), direct));
        assert_eq!(code, Code::IdentityDiffers);
        assert!(detail.contains("through --url Grafana sees user `admin` in organisation 1"), "{detail}");
        assert!(!detail.contains("rivate") && !detail.contains("example.com"), "{detail}");
        assert!(next.contains("`X-JWT-Assertion`") && next.contains("behind the proxy"), "{next}");
    }
    let mut one = seen((200, ADMIN), (404, ""));
    one.ways.truncate(1);
    assert!(found(&one).1.contains("the token belongs to a service account"));
    one.ways[0].user = grafana(true, 200, &[], MACHINE);
    assert_eq!(code(&one), Code::Healthy);
}

#[test]
fn the_next_step_depends_on_what_the_proxy_has_seen() {
    let mut seen = seen((200, ADMIN), (200, MACHINE));
    let either =
        |seen: &Observations| found(seen).2.contains("`X-Goog-IAP-JWT-Assertion`, `Authorization` or a session");
    assert!(either(&seen), "another token may have arrived");
    let fingerprint = seen.credential.as_ref().unwrap().fingerprint.clone().unwrap();
    let saw = format!("{SAW}; fingerprint={fingerprint}");
    seen.ways[0].with = grafana(true, 200, &[&saw], r#"{"id":1}"#);
    assert!(!either(&seen) && found(&seen).2.contains("that sets `Authorization`, `X-WEBAUTH-USER`"));
    seen.ways[0] = Way { user: seen.ways[0].user.clone(), ..way(Role::Url, None) };
    assert!(!found(&seen).2.contains("the proxy"), "there is none");
}

#[test]
fn permissions_are_compared_as_sets_and_only_in_one_version() {
    let with = |body: &str, version: &str| {
        let mut seen = seen((403, USERS_ONLY), (403, USERS_ONLY));
        let health = format!(r#"{{"database":"ok","version":"{version}"}}"#);
        (seen.ways[0].permissions, seen.ways[0].health) =
            (grafana(true, 200, &[SAW], body), grafana(false, 200, &[], &health));
        seen.ways[1].permissions =
            grafana(true, 200, &[], r#"{"orgs:read":[""],"dashboards:read":["folders:uid:a","folders:uid:b"]}"#);
        conclude(&seen)
    };
    let same = r#"{"dashboards:read":["folders:uid:b","folders:uid:a","folders:uid:b"],"orgs:read":[]}"#;
    assert_eq!(with(same, "11.0.0").code(), Code::Healthy);
    let more = r#"{"dashboards:read":["*"],"orgs:read":[""],"a:b":[],"c:d":[],"e:f":[]}"#;
    let finding = with(more, "11.0.0").finding.unwrap();
    assert_eq!((finding.code, finding.step, finding.role), (Code::IdentityDiffers, Step::Comparison, None));
    assert_eq!(
        finding.detail,
        "the permissions differ: only through --url `a:b`, `c:d`, `dashboards:read *` and 1 more; only through --direct \
         `dashboards:read folders:uid:a`, `dashboards:read folders:uid:b`"
    );
    assert_eq!(with(more, "12.0.0").code(), Code::Healthy, "each version has permissions of its own");
}

#[test]
fn another_organisation_is_told_apart_from_another_caller() {
    let landed = |mut seen: Observations, line: &str| {
        seen.ways[0].with = grafana(true, 200, &[line], r#"{"id":2}"#);
        found(&seen)
    };
    let basic = "x-token-proxy-saw: probe=p; auth_received=basic; auth_sent=basic; version=1";
    let user = || of_user(seen((200, ADMIN), (200, ADMIN)));
    let (code, detail, next) = landed(user(), basic);
    assert_eq!(code, Code::OrganisationDiffers);
    assert!(detail.contains("user `admin` organisation 2 through --url, and organisation 1"), "{detail}");
    assert!(next.contains("behind the proxy"), "{next}");
    let (_, _, next) = landed(user(), &format!("{basic}; org_sent=2"));
    assert!(next.contains("in front of the proxy") && next.contains("`--org 2`"), "{next}");
    let mut wanted = user();
    wanted.org = Some(1);
    assert!(landed(wanted, basic).2.contains("in front of the proxy"), "the header was removed");
    // A service account belongs to one organisation.
    assert_eq!(landed(seen((403, USERS_ONLY), (403, USERS_ONLY)), SAW).0, Code::IdentityDiffers);
}

#[test]
fn what_only_one_side_refuses_is_explained() {
    let refused = |status: u16, body: &str, by: usize, user: (u16, &str)| {
        let mut seen = seen(user, (200, MACHINE));
        seen.ways[by].with = grafana(true, status, if by == 0 { &[SAW] } else { &[] }, body);
        let finding = conclude(&seen).finding.unwrap();
        (finding.code, finding.reason)
    };
    let jwt = r#"{"message":"Invalid JWT","messageId":"jwt.invalid","statusCode":401}"#;
    let differs = |reason| (Code::IdentityDiffers, Some(reason));
    assert_eq!(refused(401, UNKNOWN_401, 1, (200, ADMIN)), differs(Reason::TokenUnknown));
    assert_eq!(refused(401, jwt, 0, (500, "")), differs(Reason::JwtInvalid));
    assert_eq!(refused(403, NOT_ALLOWED, 0, (200, VIEWER)), differs(Reason::PermissionMissing));
    let organisation = |reason| (Code::OrganisationDiffers, Some(reason));
    assert_eq!(refused(401, MISMATCH, 0, (500, "")), organisation(Reason::OrgMismatch));
    assert_eq!(refused(401, MISMATCH, 1, (200, MACHINE)), organisation(Reason::OrgMismatch));
    let mut user = of_user(seen((200, ADMIN), (200, ADMIN)));
    user.ways[0].with = grafana(true, 403, &[], NOT_ALLOWED);
    assert_eq!(code(&user), Code::OrganisationDiffers, "the same user, where it has no rights");
}

#[test]
fn anonymous_access_is_told_apart_from_a_hop_that_signs_in() {
    let open = |url: (u16, &str), direct: (u16, &str), without: (u16, &str)| {
        let mut seen = seen(url, direct);
        for way in &mut seen.ways {
            way.without = grafana(false, 200, &[SAW_NONE], r#"{"id":1}"#);
            way.user_without = grafana(false, without.0, &[], without.1);
        }
        seen
    };
    let nobody = (401, UNKNOWN_401);
    for with in [(200, MACHINE), (403, USERS_ONLY), nobody, (500, "")] {
        assert_eq!(code(&open(with, with, nobody)), Code::AnonymousAccess, "{with:?}");
    }
    let (code_of, detail, next) = found(&open(nobody, (200, MACHINE), nobody));
    assert!(code_of == Code::IdentityDiffers && detail.contains("an anonymous visitor"), "{detail}");
    assert!(next.contains("`Authorization`"), "{next}");
    let mut hop = seen((200, MACHINE), (200, MACHINE));
    hop.ways[0].without = grafana(false, 200, &[SAW_NONE], r#"{"id":1}"#);
    assert_eq!(code(&hop), Code::SignedInByHop, "for Grafana itself refuses");
    hop.ways[0].user_without = grafana(false, 200, &[], VIEWER);
    assert!(found(&hop).1.contains("user `viewer`"));
    hop.ways[0].user = grafana(true, 200, &[], VIEWER);
    let verdict = conclude(&hop);
    assert_eq!((verdict.code(), verdict.others.len()), (Code::IdentityDiffers, 0), "one hop, one finding");
    hop.ways[1].without = grafana(false, 401, &[], NONE_401);
    assert!(found(&hop).1.contains("a request without a credential is signed in as the same caller"));
}

#[test]
fn a_credential_that_the_proxy_replaces_on_purpose_is_not_compared() {
    let mut seen = of_user(seen((200, MACHINE), (200, ADMIN)));
    assert_eq!(code(&seen), Code::IdentityDiffers);
    let replaced = "x-token-proxy-saw: probe=p; auth_received=basic; auth_sent=bearer; version=1";
    seen.ways[0].with = grafana(true, 200, &[replaced], r#"{"id":1}"#);
    assert_eq!(code(&seen), Code::Healthy);
}

proptest! {
    /// Whatever Grafana or a hop writes there: one verdict, which shows no token.
    #[test]
    fn any_profile_has_a_verdict(
        status in prop::sample::select(vec![200u16, 401, 403, 404, 500]),
        login in prop::sample::select(vec!["admin", TOKEN, "", "a\u{1b}[31m"]),
        id in any::<i64>(),
        uid in "[a-z:]{0,20}",
        orgs in any::<(i64, i64)>(),
    ) {
        let body = serde_json::json!({"login": login, "id": id, "uid": uid, "message": login}).to_string();
        let mut seen = seen((status, &body), (200, MACHINE));
        for (way, org) in seen.ways.iter_mut().zip([orgs.0, orgs.1]) {
            way.with = grafana(true, 200, &[], &format!("{{\"id\":{org}}}"));
        }
        let shown = format!("{:?}", conclude(&seen));
        prop_assert!(!shown.contains("yscW25im") && !shown.contains('\u{1b}'), "{shown}");
    }
}
