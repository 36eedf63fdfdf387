//! What the past of a token makes likely.

use std::time::Duration;

use super::super::classify::without_authorization;
use super::super::head::RequestFacts;
use super::super::org::OrgBy;
use super::super::reason::{Reason, Source};
use super::words::{clock, moment, span};
use super::{Acceptance, Advice, Past, TokenPast, condemns_token};

/// A memory that is younger does not say that a token never worked.
const LONG: Duration = Duration::from_secs(10 * 60);

/// From so many refusals in a row on, nobody seems to look.
const UNNOTICED: u32 = 100;

pub(super) fn advise(request: &RequestFacts, past: &Past, token: &TokenPast, reason: Reason, advice: &mut Advice) {
    match reason {
        Reason::TokenUnknown => unknown(past, token, advice),
        Reason::TokenExpired => since(past, token, "it likely expired since", advice),
        Reason::TokenRevoked => since(past, token, "it was likely revoked since", advice),
        Reason::ServiceAccountDisabled => since(past, token, "its account was likely disabled since", advice),
        Reason::UserMissing => since(past, token, "its account was likely deleted since", advice),
        Reason::OrgMismatch => mismatch(request, past, token, advice),
        Reason::CredentialNotRecognised => not_recognised(past, token, advice),
        Reason::UnauthorizedUnexplained | Reason::RedirectedToLogin => unexplained(past, token, reason, advice),
        Reason::PermissionMissing
        | Reason::RoleTooLow
        | Reason::FolderDenied
        | Reason::ForbiddenUnexplained
        | Reason::RedirectedHome => forbidden(request, past, token, advice),
        _ if reason.source() == Source::Hop => hop(past, token, advice),
        _ => {}
    }
    if condemns_token(reason) {
        unnoticed(past, token, advice);
    }
}

/// The last success, unless Grafana condemned the token after it.
fn accepted(token: &TokenPast) -> Option<&Acceptance> {
    token.accepted.as_ref().filter(|_| token.condemned.is_none())
}

fn since(past: &Past, token: &TokenPast, likely: &str, advice: &mut Advice) {
    match &token.accepted {
        Some(accepted) => {
            advice.say(format!("This token was accepted until {}: {likely}.", moment(accepted.last, past.now)));
        }
        None => never(past, token, advice),
    }
}

/// Says that it never worked, as far as is known. A memory that has lost something does not.
fn never(past: &Past, token: &TokenPast, advice: &mut Advice) {
    // Where it was answered in another way it may have worked: what that was is not remembered.
    if past.lossy || token.unclear {
        return;
    }
    let likely = if past.watched >= LONG { ": it has likely never worked here" } else { "" };
    advice.say(format!(
        "Since this proxy started {} ago, no request with this token was seen to be accepted{likely}.",
        span(past.watched)
    ));
}

fn unknown(past: &Past, token: &TokenPast, advice: &mut Advice) {
    let Some(accepted) = &token.accepted else { return never(past, token, advice) };
    let last = moment(accepted.last, past.now);
    if token.recovered > 0 {
        advice.say(format!(
            "This token was refused as unknown before and accepted again, {} times so far, the last time at {last}: it is \
             likely good, and Grafana could not look it up (an error of its database, or replicas with different ones).",
            token.recovered
        ));
        advice.point("look at Grafana's log of this moment before replacing the token");
        return;
    }
    advice.say(format!(
        "This token was accepted until {last}: it was likely deleted since, or Grafana's database was restored or replaced."
    ));
    advice.point(format!(
        "look first at what was deleted or restored in Grafana after {}",
        clock(accepted.last, past.now)
    ));
}

fn mismatch(request: &RequestFacts, past: &Past, token: &TokenPast, advice: &mut Advice) {
    if let Some((own, asked)) = past.belongs_to.zip(request.org.sent).filter(|(own, asked)| own != asked) {
        let by = match request.org.by {
            OrgBy::Client => "the client",
            OrgBy::Token => "the proxy's `tokens`",
            OrgBy::Host => "the proxy's `org.by_host`",
            OrgBy::Learned | OrgBy::Default | OrgBy::None => "the proxy's `org.default`",
        };
        advice.say(format!(
            "Grafana said that this token belongs to organisation {own}; the request asked for {asked}, set by {by}."
        ));
        return advice.point(format!("ask for organisation {own}, or for none"));
    }
    let Some(accepted) = accepted(token) else { return };
    let last = moment(accepted.last, past.now);
    let until = clock(accepted.last, past.now);
    match (accepted.organisation, request.org.sent) {
        (Some(own), Some(asked)) if own != asked => {
            advice.say(format!(
                "This token was accepted in organisation {own} until {last}: it likely belongs there, not to organisation \
                 {asked}."
            ));
            advice.point(format!("organisation {own} worked until {until}"));
        }
        (None, _) => {
            advice.say(format!(
                "This token was accepted until {last} where no organisation was asked for: it likely belongs to another \
                 than the one asked for now."
            ));
            advice.point(format!("without an organisation it worked until {until}"));
        }
        (Some(own), _) => advice.say(format!(
            "This token was accepted with organisation {own} asked for until {last}: Grafana was likely updated since, as \
             up to 10.1 it ignores what organisation a token is sent with."
        )),
    }
}

fn not_recognised(past: &Past, token: &TokenPast, advice: &mut Advice) {
    if let Some(accepted) = accepted(token) {
        advice.say(format!(
            "The same token was accepted until {}: likely not the token but the way it was sent is wrong.",
            moment(accepted.last, past.now)
        ));
    }
}

/// The answer does not say what is wrong with the token: an earlier one may have.
fn unexplained(past: &Past, token: &TokenPast, reason: Reason, advice: &mut Advice) {
    match (token.condemned, &token.accepted) {
        (Some((cause, when)), _) => {
            advice.say(format!(
                "Grafana refused this token at {} as `{}`: likely that is the cause here, too.",
                moment(when, past.now),
                cause.code()
            ));
            advice.point(format!("begin with `{}`, the likely cause", cause.code()));
        }
        // A page may send even a good token to the login.
        (None, Some(accepted)) if reason == Reason::UnauthorizedUnexplained => advice.say(format!(
            "This token was accepted until {}: likely it was deleted, revoked or disabled since, or it expired.",
            moment(accepted.last, past.now)
        )),
        _ => {}
    }
}

/// From 10.1 on a token that Grafana does not accept is passed over where a cookie or anonymous access lets the caller in
/// all the same: then the refusal is about somebody else.
fn forbidden(request: &RequestFacts, past: &Past, token: &TokenPast, advice: &mut Advice) {
    if let Some((cause, when)) = token.condemned {
        let other = without_authorization(request);
        advice.say(format!(
            "Grafana refused this token at {} as `{}`: likely it passed over the token here and judged {other} (it does so \
             from 10.1 on).",
            moment(when, past.now),
            cause.code()
        ));
        // Grafana tries a JWT before the token: a better token changes nothing.
        if request.carriers.jwt {
            advice.point(format!("look first at what was likely judged: {other}"));
        } else {
            advice.point(format!("replace the token first, as it is likely not what was judged (`{}`)", cause.code()));
        }
        return;
    }
    // Any of these may have signed in, whatever the token is worth.
    if request.carriers.jwt || request.carriers.auth_proxy || request.render_key {
        return;
    }
    if request.session_cookie {
        if let Some(accepted) = accepted(token).filter(|_| past.anonymous.is_none()) {
            advice.say(format!(
                "This token was accepted until {}, and an accepted token wins over a cookie: likely the token was judged, \
                 not the cookie's user.",
                moment(accepted.last, past.now)
            ));
        }
    } else if let Some(when) = past.anonymous {
        advice.say(format!(
            "Anonymous access is likely on, as a request without an accepted credential was served at {}: from 10.1 on, a \
             token that Grafana does not accept is then treated as the anonymous visitor instead of being refused.",
            moment(when, past.now)
        ));
        advice.point(
            "to see whether the token counts at all, send it to `GET /api/user`, which answers 401 where it does not",
        );
    }
}

fn hop(past: &Past, token: &TokenPast, advice: &mut Advice) {
    if let Some(accepted) = accepted(token) {
        advice.say(format!(
            "This token was accepted until {}: likely it is not at fault.",
            moment(accepted.last, past.now)
        ));
    }
}

fn unnoticed(past: &Past, token: &TokenPast, advice: &mut Advice) {
    if let Some(refused) = token.refused.filter(|refused| refused.in_a_row >= UNNOTICED) {
        advice.say(format!(
            "It was refused {} times in a row since {}: its caller likely retries without looking at the answer.",
            refused.in_a_row,
            clock(refused.since, past.now)
        ));
    }
}
