//! Head + policy + limits → forward or refuse: the product on one page.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Uri};
use smallvec::SmallVec;

use super::caller::{Caller, Callers};
use super::client;
use super::credential::{self, AuthForm, Change, Judgement, Outward};
use super::head::Head;
use super::limit::{Ask, Budget, Decision, Policy as Limit};
use super::org::{self, OrgBy, OrgDecision};
use super::path_rule::{Costs, PathRules};
use super::reason::Reason;
use super::sign_in::{self, SignIn};
use super::token::{ADDRESS, BucketKey, HashKey, USER};

/// All that a decision rests on besides the request.
#[derive(Debug)]
pub struct Policy {
    /// How credentials are treated.
    pub authorization: credential::Settings,
    /// How the organisation is chosen.
    pub org: org::Settings,
    /// Whom to believe about the client.
    pub clients: client::Settings,
    /// Callers with a name.
    pub callers: Callers,
    /// Paths without a limit.
    pub exempt: PathRules,
    /// Paths that cost more than one request.
    pub costs: Costs,
    /// The key of buckets and fingerprints.
    pub hash_key: HashKey,
}

/// A request, as far as it is judged.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a, 'h> {
    /// The method.
    pub method: &'a Method,
    /// The target.
    pub uri: &'a Uri,
    /// What one pass over the fields found.
    pub head: &'a Head<'h>,
    /// The other end of the connection.
    pub peer: IpAddr,
}

/// What was found out, whether the request goes on or not.
#[derive(Debug)]
pub struct Findings<'h> {
    /// The client's address.
    pub client: IpAddr,
    /// Whether the peer's words about others are believed.
    pub trusted: bool,
    /// The credential.
    pub credential: Judgement<'h>,
    /// Every way in which the request could sign in.
    pub sign_in: SignIn,
    /// What the bucket and the fingerprint of the credential in `Authorization` are made from.
    pub key: Option<BucketKey>,
    /// The known caller that it belongs to.
    pub caller: Option<Arc<Caller>>,
    /// The organisation. Unset where an earlier step refused.
    pub org: OrgDecision,
    /// What the limits are to be asked for. The last step: a request refused for another reason spends nothing.
    pub ask: Option<Ask>,
    /// Why the request goes no further.
    pub refusal: Option<Refused>,
}

/// A refusal of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// What exactly was found.
    pub detail: String,
    /// The next step.
    pub hint: String,
}

/// Decides about one request, but for the limits: those are named in [`Findings::ask`], and asked by whoever holds them.
/// `learned` knows to which organisation a token belongs.
pub fn decide<'h>(
    asked: Asked<'_, 'h>,
    policy: &Policy,
    learned: impl FnOnce(BucketKey) -> Option<u32>,
) -> Findings<'h> {
    let trusted = policy.clients.trusts(asked.peer);
    let mut found = Findings {
        client: client_of(asked, trusted, policy),
        trusted,
        credential: judge_credential(asked, trusted, policy),
        sign_in: SignIn::default(),
        key: None,
        caller: None,
        org: OrgDecision::default(),
        ask: None,
        refusal: None,
    };
    let filed = found.credential.with_compared(&asked.head.authorization, |compared| {
        let key = compared.key(&policy.hash_key);
        let identity = found.credential.identity.as_deref().unwrap_or_default();
        (key, policy.callers.find(key, identity, compared).cloned())
    });
    if let Some((key, caller)) = filed {
        (found.key, found.caller) = (Some(key), caller);
    }
    let request = sign_in::Request {
        head: asked.head,
        uri: asked.uri,
        peer: asked.peer,
        trusted,
        restore_from: &policy.authorization.restore_from,
        authorization: &found.credential,
        key: found.key,
    };
    found.sign_in = SignIn::find(request, &policy.clients, &policy.hash_key);
    found.refusal =
        method_refused(asked).or_else(|| conflict(&found.credential)).or_else(|| not_allowed(asked, &found));
    if found.refusal.is_some() {
        return found;
    }
    let of_caller = found.caller.as_ref().and_then(|caller| caller.org).map(|org| (org, OrgBy::Token));
    let learned = || found.key.filter(|_| policy.org.learn).and_then(learned).map(|org| (org, OrgBy::Learned));
    let closer = of_caller.or_else(|| of_host(asked, policy)).or_else(learned);
    match org::decide(&asked.head.organisation, asked.uri.path(), asked.uri.query(), closer, &policy.org) {
        // Health checks by address and static files belong to no organisation.
        Ok(org) if policy.org.lacks_organisation(&org) && !policy.exempt.matches(asked.uri) => {
            found.refusal = Some(override_refused(org::OrgRefusal::UnknownHost, &policy.org, closer));
            return found;
        }
        Ok(org) => found.org = org,
        Err(refusal) => {
            found.refusal = Some(override_refused(refusal, &policy.org, closer));
            return found;
        }
    }
    if !policy.exempt.matches(asked.uri) {
        let cost = policy.costs.of(asked.uri.path());
        found.ask = Some(Ask { from: budget(&found, policy), cost });
    }
    replace_token(&mut found);
    found
}

fn of_host(asked: Asked<'_, '_>, policy: &Policy) -> Option<(u32, OrgBy)> {
    let host = asked.head.host?;
    policy.org.of_host(host).map(|org| (org, OrgBy::Host))
}

/// Grafana gets the token that the operator keeps for this caller; the caller's own never leaves the proxy.
fn replace_token(found: &mut Findings<'_>) {
    let Some(own) = found.caller.as_ref().and_then(|caller| caller.send.as_ref()) else { return };
    let value = [b"Bearer ", own.reveal()].concat();
    let sent = credential::judge(&[&value], &[], credential::Repair::Off);
    (found.credential.sent, found.credential.spelling) = (sent.sent, sent.spelling);
    (found.credential.token, found.credential.basic_holds_token) = (sent.token, false);
    found.credential.outward = Outward::Replace(Cow::Owned(value));
}

/// What stands for the user of a `Basic` credential.
pub fn user_key(credential: &Judgement<'_>, hash_key: &HashKey) -> Option<BucketKey> {
    user_name(credential).map(|name| hash_key.hash(USER, &name))
}

/// The user of a `Basic` credential. Grafana does not tell users apart by case.
fn user_name(credential: &Judgement<'_>) -> Option<Vec<u8>> {
    if credential.sent != AuthForm::Basic {
        return None;
    }
    let pair = credential.identity.as_deref()?.strip_prefix(b"Basic ")?;
    Some(pair.split(|byte| *byte == b':').next()?.to_ascii_lowercase())
}

fn client_of(asked: Asked<'_, '_>, trusted: bool, policy: &Policy) -> IpAddr {
    if !trusted || asked.head.forwarded_for.is_empty() {
        return asked.peer.to_canonical();
    }
    client::identify(asked.peer, &asked.head.forwarded_for, &policy.clients)
}

fn judge_credential<'h>(asked: Asked<'_, 'h>, trusted: bool, policy: &Policy) -> Judgement<'h> {
    let settings = &policy.authorization;
    let mut carriers: SmallVec<[&'h [u8]; 2]> = SmallVec::new();
    // Whoever may speak to us directly may bring a carrier, unless the operator named the hops that may.
    if trusted || policy.clients.trusted_proxies.is_empty() {
        for name in &settings.restore_from {
            carriers.extend(asked.head.fields.get_all(name.as_str()));
        }
    }
    let mut judgement = credential::judge(&asked.head.authorization, &carriers, settings.repair);
    if asked.head.nominates_protected() {
        judgement.changes.insert(Change::NominationIgnored);
    }
    judgement
}

fn budget(found: &Findings<'_>, policy: &Policy) -> Budget {
    match (found.key, &found.caller, found.sign_in.credential) {
        (Some(key), Some(caller), _) => Budget::Caller(key, caller.place),
        (.., Some((_, credential))) => Budget::Credential(credential),
        (.., None) => Budget::Client(address_key(found.client, &policy.hash_key)),
    }
}

/// What the requests of an address are counted under.
pub fn address_key(client: IpAddr, hash_key: &HashKey) -> BucketKey {
    hash_key.hash(ADDRESS, &client::bucket_bytes(client))
}

fn not_allowed(asked: Asked<'_, '_>, found: &Findings<'_>) -> Option<Refused> {
    let caller = found.caller.as_ref().filter(|caller| !caller.may(asked.method, asked.uri.path()))?;
    Some(Refused {
        reason: Reason::CallerNotAllowed,
        detail: format!("The token of `{}` may not be used for this method and path.", caller.name),
        hint: format!("Use another token, or ask the operator to extend `tokens[{}].allow`.", caller.name),
    })
}

/// CONNECT would make a tunnel of us, TRACE echoes credentials, and `OPTIONS *` asks about us, not about Grafana.
fn method_refused(asked: Asked<'_, '_>) -> Option<Refused> {
    let asterisk = asked.uri.path() == "*";
    if !matches!(*asked.method, Method::CONNECT | Method::TRACE) && !asterisk {
        return None;
    }
    Some(Refused {
        reason: Reason::MethodRefused,
        detail: if asterisk {
            "The target `*` asks about the proxy itself, which has nothing to tell.".into()
        } else {
            format!("{} is never forwarded.", asked.method)
        },
        hint: "Ask for a path of Grafana with one of the methods in `Allow`.".into(),
    })
}

fn conflict(credential: &Judgement<'_>) -> Option<Refused> {
    (credential.outward == Outward::Conflict).then(|| Refused {
        reason: Reason::CredentialConflict,
        detail: "The request carries two different credentials in `Authorization`; Grafana would read the first and \
                 silently ignore the other."
            .into(),
        hint: "Send one `Authorization` header: look for a client library and a hop that both add theirs.".into(),
    })
}

fn override_refused(refusal: org::OrgRefusal, settings: &org::Settings, closer: Option<(u32, OrgBy)>) -> Refused {
    let ours = closer.map(|(org, _)| org).or(settings.default);
    let pinned = match (settings.mode, ours) {
        (org::OrgMode::Pin, Some(org)) => format!("the proxy pins organisation {org}"),
        (org::OrgMode::Pin, None) => "the proxy lets nobody choose an organisation".into(),
        _ => "the request contradicts itself".into(),
    };
    let (detail, hint) = match refusal {
        org::OrgRefusal::Other(way) => (
            format!("The request names another organisation in {way}, and {pinned}."),
            format!("Remove the organisation from {way}, or ask the operator for `org.mode: fill`."),
        ),
        org::OrgRefusal::NoNamespace => {
            let namespace = match ours {
                Some(1) => "/default".into(),
                Some(org) => format!("/org-{org}"),
                None => String::new(),
            };
            (
                format!("The path is below `/apis/` and names no namespace, so no organisation either, and {pinned}."),
                format!(
                    "Name the namespace, as `/apis/<group>/<version>/namespaces{namespace}/…`, or ask the operator for \
                     `org.mode: fill`."
                ),
            )
        }
        org::OrgRefusal::UnknownHost => (
            "`Host` names no organisation of `org.by_host`, and `org.mode: pin` lets the request reach no other."
                .into(),
            "Use a host name that `org.by_host` lists, or ask the operator to add this one, or to set `org.default`."
                .into(),
        ),
    };
    Refused { reason: Reason::OrgOverrideRefused, detail, hint }
}

/// Whom a limit refuses.
#[derive(Clone, Copy, Debug)]
pub struct Whom<'a> {
    /// The known caller.
    pub caller: Option<&'a Caller>,
    /// Whether there was a credential in `Authorization`.
    pub has_credential: bool,
    /// Whether there was any.
    pub sent_credential: bool,
    /// The client's address.
    pub client: IpAddr,
}

/// Why nothing passes while the limits that all replicas share cannot be asked.
pub fn limits_unavailable() -> Refused {
    Refused {
        reason: Reason::LimitsUnavailable,
        detail: "The limits that all replicas share could not be asked, and `limits.shared_failure` is `closed`."
            .into(),
        hint: "Retry in a second; the operator finds the cause in the log, event `limits_backend`.".into(),
    }
}

/// Why a limit refuses a request, or would refuse it.
pub fn limited(decision: &Decision, whom: Whom<'_>) -> Refused {
    let seconds = decision.retry_after_seconds();
    let what = match (whom.caller, whom.has_credential) {
        (Some(caller), _) => format!("`{}`", caller.name),
        (None, true) => "This credential".into(),
        (None, false) => "This session".into(),
    };
    let key = match whom.caller {
        Some(caller) => format!("`limit` of `{}` in `tokens`", caller.name),
        None => "`limits.per_token`".into(),
    };
    let (reason, detail, hint) = match decision.policy {
        Limit::Token => (
            Reason::TokenRateLimited,
            format!(
                "{what} has used up its budget (limit `token`); the request did not reach Grafana, which has no limit of \
                 its own."
            ),
            format!("Retry in {seconds} s and send fewer requests at once, or raise {key} in the proxy."),
        ),
        Limit::Client => (
            Reason::ClientRateLimited,
            match whom.sent_credential {
                true => format!(
                    "{} has sent too many requests with credentials that Grafana has not accepted so far (limit `client`); \
                     the request did not reach it.",
                    whom.client
                ),
                false => format!("{} has sent too many requests without a credential (limit `client`).", whom.client),
            },
            match whom.sent_credential {
                true => format!(
                    "Retry in {seconds} s; if all clients seem to come from this address, name the proxy in front in \
                     `clients.trusted_proxies`, or raise `limits.per_client`."
                ),
                false => format!(
                    "Retry in {seconds} s; send a token to get a budget of your own, or raise `limits.per_client`."
                ),
            },
        ),
        Limit::AuthFailures => (
            Reason::AuthFailuresLimited,
            format!(
                "Grafana answered 401 to too many requests from {} (limit `auth_failures`), and has not accepted this \
                 credential so far; the request did not reach it.",
                whom.client
            ),
            format!(
                "Find out which client there sends a bad token (the refusals before this one name it), and retry in \
                 {seconds} s; if all clients seem to come from this address, name the hop in `clients.trusted_proxies`."
            ),
        ),
        Limit::InFlight => (
            Reason::TokenRateLimited,
            format!(
                "{what} has {} answers outstanding, as many as it may have at once (limit `in_flight`).",
                decision.burst
            ),
            "Wait for answers before sending more, look for slow queries, or raise `limits.in_flight_per_token`."
                .into(),
        ),
    };
    Refused { reason, detail, hint }
}
