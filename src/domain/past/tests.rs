//! What each story makes likely.

use std::time::UNIX_EPOCH;

use proptest::option;
use proptest::prelude::*;

use super::super::classify::Verdict;
use super::super::head::RequestFacts;
use super::super::org::OrgBy;
use super::*;

const HOUR: u64 = 3_600;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_714_979_289)
}

/// 07:08:09 UTC is now.
fn ago(seconds: u64) -> SystemTime {
    now() - Duration::from_secs(seconds)
}

fn past(token: TokenPast) -> Past {
    let watched = Duration::from_secs(5 * HOUR);
    Past { now: now(), watched, lossy: false, token: Some(token), user: None, anonymous: None, belongs_to: None }
}

fn accepted(seconds: u64, organisation: Option<u32>) -> TokenPast {
    TokenPast { accepted: Some(Acceptance { last: ago(seconds), organisation }), ..TokenPast::default() }
}

fn request(org: Option<u32>, session_cookie: bool) -> RequestFacts {
    let mut facts = RequestFacts { session_cookie, ..RequestFacts::default() };
    (facts.org.sent, facts.org.by) = (org, OrgBy::Client);
    facts
}

fn told(request: &RequestFacts, past: &Past, reason: Reason) -> Verdict {
    let mut verdict = Verdict { reason, detail: "Found.".into(), hint: "Do this.".into(), permission: None };
    advise(request, past, reason).add_to(&mut verdict);
    verdict
}

#[test]
fn a_token_that_worked_was_likely_deleted() {
    let verdict = told(&request(None, false), &past(accepted(HOUR, None)), Reason::TokenUnknown);
    assert_eq!(
        verdict.detail,
        "Found. This token was accepted until 06:08 UTC (60 min ago): it was likely deleted since, or Grafana's database \
         was restored or replaced."
    );
    assert_eq!(verdict.hint, "Do this; look first at what was deleted or restored in Grafana after 06:08 UTC.");
}

#[test]
fn a_token_that_is_known_now_and_then_is_likely_good() {
    let token = TokenPast { recovered: 2, ..accepted(20, None) };
    let verdict = told(&request(None, false), &past(token), Reason::TokenUnknown);
    assert!(verdict.detail.contains("2 times so far") && verdict.detail.contains("likely good"), "{verdict:?}");
    assert!(verdict.hint.ends_with("before replacing the token."));
}

#[test]
fn a_token_that_never_worked_is_told_so_by_a_memory_that_is_old_enough() {
    let mut past = past(TokenPast::default());
    for reason in [Reason::TokenUnknown, Reason::TokenExpired, Reason::TokenRevoked, Reason::ServiceAccountDisabled] {
        let verdict = told(&request(None, false), &past, reason);
        assert!(
            verdict.detail.ends_with(
                "started 5 h ago, no request with this token was seen to be accepted: it has likely never worked here."
            ),
            "{verdict:?}"
        );
    }
    past.watched = Duration::from_secs(40);
    let verdict = told(&request(None, false), &past, Reason::TokenUnknown);
    assert!(verdict.detail.ends_with("started 40 s ago, no request with this token was seen to be accepted."));
    past.lossy = true;
    assert_eq!(told(&request(None, false), &past, Reason::TokenUnknown).detail, "Found.", "it may have been forgotten");
    past.lossy = false;
    past.token = Some(TokenPast { unclear: true, ..TokenPast::default() });
    assert_eq!(told(&request(None, false), &past, Reason::TokenUnknown).detail, "Found.", "it may have been accepted");
}

#[test]
fn what_ended_a_token_is_dated() {
    for (reason, likely) in [
        (Reason::TokenExpired, "likely expired since"),
        (Reason::TokenRevoked, "likely revoked since"),
        (Reason::ServiceAccountDisabled, "likely disabled since"),
        (Reason::UserMissing, "likely deleted since"),
    ] {
        let verdict = told(&request(None, false), &past(accepted(60, None)), reason);
        assert!(
            verdict.detail.contains("until 07:07 UTC (60 s ago)") && verdict.detail.contains(likely),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_mismatch_names_the_organisation_that_worked() {
    let other = told(&request(Some(1), false), &past(accepted(HOUR, Some(2))), Reason::OrgMismatch);
    assert!(other.detail.contains("accepted in organisation 2 until 06:08 UTC"), "{other:?}");
    assert!(other.detail.contains("likely belongs there, not to organisation 1"));
    assert_eq!(other.hint, "Do this; organisation 2 worked until 06:08 UTC.");
    let none = told(&request(Some(1), false), &past(accepted(HOUR, None)), Reason::OrgMismatch);
    assert!(none.detail.contains("where no organisation was asked for"), "{none:?}");
    let same = told(&request(Some(1), false), &past(accepted(HOUR, Some(1))), Reason::OrgMismatch);
    assert!(same.detail.contains("Grafana was likely updated"), "{same:?}");
    assert_eq!(same.hint, "Do this.");
    let known = Past { belongs_to: Some(3), ..past(accepted(HOUR, None)) };
    let told = told(&request(Some(1), false), &known, Reason::OrgMismatch);
    assert!(told.detail.contains("belongs to organisation 3; the request asked for 1, set by"), "{told:?}");
    assert_eq!(told.hint, "Do this; ask for organisation 3, or for none.");
}

#[test]
fn a_vague_answer_is_read_by_an_earlier_clear_one() {
    let token = TokenPast { condemned: Some((Reason::TokenExpired, ago(60))), ..accepted(HOUR, None) };
    for reason in [Reason::UnauthorizedUnexplained, Reason::RedirectedToLogin] {
        let verdict = told(&request(None, false), &past(token), reason);
        assert!(verdict.detail.contains("at 07:07 UTC (60 s ago) as `token_expired`: likely"), "{verdict:?}");
        assert!(verdict.hint.contains("begin with `token_expired`"));
        assert_eq!(verdict.reason, reason);
    }
    let worked = told(&request(None, false), &past(accepted(HOUR, None)), Reason::UnauthorizedUnexplained);
    assert!(worked.detail.contains("likely it was deleted, revoked or disabled since, or it expired"), "{worked:?}");
    assert_eq!(told(&request(None, false), &past(accepted(HOUR, None)), Reason::RedirectedToLogin).detail, "Found.");
}

#[test]
fn a_forbidden_that_is_about_somebody_else_is_recognised() {
    let token = TokenPast { condemned: Some((Reason::TokenExpired, ago(60))), ..accepted(HOUR, None) };
    let anonymous = told(&request(None, false), &past(token), Reason::PermissionMissing);
    assert!(
        anonymous.detail.contains("as `token_expired`: likely it passed over the token here and judged the anonymous")
    );
    assert!(anonymous.hint.contains("replace the token first"), "{anonymous:?}");
    let cookie = told(&request(None, true), &past(token), Reason::PermissionMissing);
    assert!(cookie.detail.contains("judged the session cookie's user"), "{cookie:?}");
    let good = told(&request(None, true), &past(accepted(60, None)), Reason::PermissionMissing);
    assert!(good.detail.contains("likely the token was judged, not the cookie's user"), "{good:?}");
    // A good token alone: nothing is in doubt.
    assert_eq!(told(&request(None, false), &past(accepted(60, None)), Reason::PermissionMissing).detail, "Found.");
    let mut open = past(accepted(60, None));
    open.anonymous = Some(ago(120));
    let open = told(&request(None, false), &open, Reason::PermissionMissing);
    assert!(open.detail.contains("Anonymous access is likely on") && open.hint.contains("GET /api/user"), "{open:?}");
}

#[test]
fn a_forbidden_that_may_be_about_a_jwt_or_a_named_user_is_not_pinned_on_the_token() {
    let mut jwt = request(None, true);
    jwt.carriers.jwt = true;
    jwt.names.get_or_insert_default().jwt_in = Some(bytes::Bytes::from_static(b"X-JWT-Assertion"));
    let mut named = request(None, true);
    named.carriers.auth_proxy = true;
    named.names.get_or_insert_default().identity_in = Some(bytes::Bytes::from_static(b"X-WEBAUTH-USER"));
    for beside in [&jwt, &named] {
        let mut open = past(accepted(60, None));
        assert_eq!(told(beside, &open, Reason::PermissionMissing).detail, "Found.");
        open.anonymous = Some(ago(120));
        assert_eq!(told(beside, &open, Reason::PermissionMissing).detail, "Found.");
    }
    let condemned = past(TokenPast { condemned: Some((Reason::TokenExpired, ago(60))), ..accepted(HOUR, None) });
    let found = told(&jwt, &condemned, Reason::PermissionMissing);
    assert!(found.detail.contains("judged the user of the JWT in `X-JWT-Assertion`"), "{found:?}");
    assert!(found.hint.contains("look first at") && !found.hint.contains("replace the token"), "{found:?}");
    let found = told(&named, &condemned, Reason::PermissionMissing);
    assert!(found.detail.contains("judged the user named by `X-WEBAUTH-USER` (or"), "{found:?}");
    assert!(found.hint.contains("replace the token first"), "{found:?}");
}

#[test]
fn a_good_token_is_not_blamed_for_a_hop_or_a_spelling() {
    for reason in [Reason::HopUnauthorized, Reason::HopForbidden, Reason::CredentialNotRecognised] {
        let verdict = told(&request(None, false), &past(accepted(60, None)), reason);
        assert!(verdict.detail.contains("likely"), "{verdict:?}");
        let token = TokenPast { condemned: Some((Reason::TokenUnknown, ago(30))), ..accepted(60, None) };
        assert_eq!(told(&request(None, false), &past(token), reason).detail, "Found.", "it may be at fault itself");
    }
}

#[test]
fn a_caller_that_never_looks_is_told() {
    let refused = PastRefusal {
        last: ago(1),
        reason: Reason::TokenExpired,
        status: 401,
        organisation: None,
        in_a_row: 400,
        since: ago(7_200),
    };
    let token = TokenPast { refused: Some(refused), ..TokenPast::default() };
    let verdict = told(&request(None, false), &past(token), Reason::TokenExpired);
    assert!(verdict.detail.contains("refused 400 times in a row since 05:08 UTC"), "{verdict:?}");
}

fn password(user: UserPast) -> Verdict {
    let watched = Duration::from_secs(HOUR);
    let past =
        Past { now: now(), watched, lossy: false, token: None, user: Some(user), anonymous: None, belongs_to: None };
    told(&request(None, false), &past, Reason::PasswordWrong)
}

#[test]
fn a_wrong_password_a_locked_and_a_disabled_user_are_told_apart_as_likely() {
    let locked = password(UserPast { refusals: 5, ..UserPast::default() });
    assert!(locked.detail.contains("the user is likely locked"), "{locked:?}");
    assert!(locked.hint.contains("once after 07:13 UTC"), "{locked:?}");
    let right = password(UserPast { refusals: 5, accepted: Some(ago(HOUR)), same_password: true });
    assert!(right.detail.contains("likely locked") && right.detail.contains("it is likely right"), "{right:?}");
    let changed = password(UserPast { refusals: 2, accepted: Some(ago(HOUR)), same_password: true });
    assert!(
        changed.detail.contains("changed or the user disabled") && changed.hint.contains("06:08 UTC"),
        "{changed:?}"
    );
    let slip = password(UserPast { refusals: 0, accepted: Some(ago(HOUR)), same_password: false });
    assert!(slip.detail.contains("likely mistyped or out of date"), "{slip:?}");
    let nothing = password(UserPast { refusals: 4, ..UserPast::default() });
    assert_eq!((nothing.detail.as_str(), nothing.hint.as_str()), ("Found.", "Do this."));
}

prop_compose! {
    fn any_token()(
        accepted in option::of((0u64..1_000_000, option::of(1u32..4))),
        refused in option::of((0u64..1_000_000, prop::sample::select(Reason::ALL), 0u32..300)),
        condemned in option::of((prop::sample::select(Reason::ALL), 0u64..1_000_000)),
        (recovered, unclear) in (0u16..3, any::<bool>()),
    ) -> TokenPast {
        TokenPast {
            accepted: accepted.map(|(seconds, organisation)| Acceptance { last: ago(seconds), organisation }),
            refused: refused.map(|(seconds, reason, in_a_row)| PastRefusal {
                last: ago(seconds), reason, status: 401, organisation: None, in_a_row, since: ago(seconds),
            }),
            condemned: condemned.map(|(reason, seconds)| (reason, ago(seconds))),
            recovered,
            unclear,
        }
    }
}

prop_compose! {
    fn any_user()(
        refusals in 0u8..6,
        accepted in option::of(0u64..1_000_000),
        same_password: bool,
    ) -> UserPast {
        UserPast { refusals, accepted: accepted.map(ago), same_password }
    }
}

proptest! {
    #[test]
    fn the_past_never_changes_a_reason_nor_what_was_said(
        reason in prop::sample::select(Reason::ALL),
        token in option::of(any_token()),
        user in option::of(any_user()),
        anonymous in option::of(0u64..1_000_000),
        (lossy, cookie, seconds, org) in (any::<bool>(), any::<bool>(), 0u64..1_000_000, option::of(1u32..4)),
    ) {
        let watched = Duration::from_secs(seconds);
        let past = Past { now: now(), watched, lossy, token, user, anonymous: anonymous.map(ago), belongs_to: None };
        let permission = Some("a:b".to_owned());
        let before = Verdict { reason, detail: "Found.".into(), hint: "Do this.".into(), permission };
        let mut verdict = before.clone();
        let advice = advise(&request(org, cookie), &past, reason);
        // What is pointed at rests on something that is called likely.
        prop_assert!(advice.hint.is_empty() || advice.detail.iter().any(|sentence| sentence.contains("likely")));
        advice.add_to(&mut verdict);
        prop_assert_eq!((verdict.reason, &verdict.permission), (before.reason, &before.permission));
        prop_assert!(verdict.detail.starts_with(&before.detail));
        prop_assert!(verdict.hint.starts_with("Do this") && verdict.hint.ends_with('.'));
        prop_assert!(!verdict.hint.contains(". "), "the hint is one sentence: {}", verdict.hint);
        if reason.source() == super::super::reason::Source::Proxy {
            prop_assert_eq!(verdict, before);
        }
    }
}
