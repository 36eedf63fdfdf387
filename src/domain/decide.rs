//! Head + policy + limits → forward or refuse: the product on one page.

use std::net::IpAddr;

use http::{HeaderMap, Method, Uri};
use smallvec::SmallVec;

use super::client;
use super::credential::{self, AuthForm, Change, Judgement, Outward};
use super::head::{Head, session_cookie};
use super::limit::{Decision, Policy as Limit};
use super::org::{self, OrgDecision};
use super::path_rule::PathRules;
use super::reason::Reason;
use super::token::{BucketKey, HashKey};

/// All that a decision rests on besides the request.
#[derive(Debug)]
pub struct Policy {
    /// How credentials are treated.
    pub authorization: credential::Settings,
    /// How the organisation is chosen.
    pub org: org::Settings,
    /// Whom to believe about the client.
    pub clients: client::Settings,
    /// Paths without a limit.
    pub exempt: PathRules,
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
    /// The headers.
    pub headers: &'h HeaderMap,
    /// What one pass over them found.
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
    /// What the bucket and the fingerprint of the credential are made from.
    pub key: Option<BucketKey>,
    /// The organisation. Unset where an earlier step refused.
    pub org: OrgDecision,
    /// What the limit said, where one was asked.
    pub limit: Option<Decision>,
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

/// Namespaces of hashes, so that a token never shares a bucket with a cookie or an address of equal bytes.
const CREDENTIAL: u8 = 1;
const SESSION: u8 = 2;
const ADDRESS: u8 = 3;
const USER: u8 = 4;

/// Decides about one request. `spend` asks a limit for one request of a bucket; it is called last, and at most once, so
/// that a request refused for another reason costs its sender nothing. It may decline to ask.
pub fn decide<'h>(
    asked: Asked<'_, 'h>,
    policy: &Policy,
    spend: impl FnOnce(Limit, BucketKey) -> Option<Decision>,
) -> Findings<'h> {
    let trusted = policy.clients.trusts(asked.peer);
    let mut found = Findings {
        client: client_of(asked, trusted, policy),
        trusted,
        credential: judge_credential(asked, trusted, policy),
        key: None,
        org: OrgDecision::default(),
        limit: None,
        refusal: None,
    };
    found.key = found.credential.identity.as_deref().map(|bytes| policy.hash_key.hash(CREDENTIAL, bytes));
    found.refusal = method_refused(asked).or_else(|| conflict(&found.credential));
    if found.refusal.is_some() {
        return found;
    }
    let lines: SmallVec<[&[u8]; 2]> = asked.head.organisation.iter().map(|line| line.as_bytes()).collect();
    match org::decide(&lines, asked.uri.path(), asked.uri.query(), &policy.org) {
        Ok(org) => found.org = org,
        Err(refusal) => {
            found.refusal = Some(override_refused(&refusal, &policy.org));
            return found;
        }
    }
    if !policy.exempt.matches(asked.uri) {
        let (limit, key) = bucket(asked, &found, policy);
        found.limit = spend(limit, key);
        found.refusal =
            found.limit.filter(|decision| !decision.admitted).map(|decision| rate_limited(&decision, &found));
    }
    found
}

/// What stands for the user of a `Basic` credential. Grafana does not tell users apart by case.
pub fn user_key(credential: &Judgement<'_>, hash_key: &HashKey) -> Option<BucketKey> {
    if credential.sent != AuthForm::Basic {
        return None;
    }
    let pair = credential.identity.as_deref()?.strip_prefix(b"Basic ")?;
    let name = pair.split(|byte| *byte == b':').next()?;
    Some(hash_key.hash(USER, &name.to_ascii_lowercase()))
}

fn client_of(asked: Asked<'_, '_>, trusted: bool, policy: &Policy) -> IpAddr {
    if !trusted || asked.head.forwarded_for.is_empty() {
        return asked.peer.to_canonical();
    }
    let lines: SmallVec<[&[u8]; 4]> = asked.head.forwarded_for.iter().map(|line| line.as_bytes()).collect();
    client::identify(asked.peer, &lines, &policy.clients)
}

fn judge_credential<'h>(asked: Asked<'_, 'h>, trusted: bool, policy: &Policy) -> Judgement<'h> {
    let lines: SmallVec<[&'h [u8]; 2]> = asked.head.authorization.iter().map(|line| line.as_bytes()).collect();
    let settings = &policy.authorization;
    let mut carriers: SmallVec<[&'h [u8]; 2]> = SmallVec::new();
    // Whoever may speak to us directly may bring a carrier, unless the operator named the hops that may.
    if trusted || policy.clients.trusted_proxies.is_empty() {
        for name in &settings.restore_from {
            carriers.extend(asked.headers.get_all(name).iter().map(|line| line.as_bytes()));
        }
    }
    let mut judgement = credential::judge(&lines, &carriers, settings.repair);
    if asked.head.nominates_protected() {
        judgement.changes.insert(Change::NominationIgnored);
    }
    judgement
}

fn bucket(asked: Asked<'_, '_>, found: &Findings<'_>, policy: &Policy) -> (Limit, BucketKey) {
    if let Some(key) = found.key {
        return (Limit::Token, key);
    }
    match session_cookie(&asked.head.cookie) {
        Some(cookie) => (Limit::Token, policy.hash_key.hash(SESSION, cookie)),
        None => (Limit::Client, policy.hash_key.hash(ADDRESS, &client::bucket_bytes(found.client))),
    }
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

fn override_refused(refusal: &org::OrgRefusal, settings: &org::Settings) -> Refused {
    let pinned = match (settings.mode, settings.default) {
        (org::OrgMode::Pin, Some(org)) => format!("the proxy pins organisation {org}"),
        (org::OrgMode::Pin, None) => "the proxy lets nobody choose an organisation".into(),
        _ => "the request contradicts itself".into(),
    };
    Refused {
        reason: Reason::OrgOverrideRefused,
        detail: format!("The request names another organisation in {}, and {pinned}.", refusal.way),
        hint: format!("Remove the organisation from {}, or ask the operator for `org.mode: fill`.", refusal.way),
    }
}

fn rate_limited(decision: &Decision, found: &Findings<'_>) -> Refused {
    let seconds = decision.retry_after_seconds();
    match decision.policy {
        Limit::Token => Refused {
            reason: Reason::TokenRateLimited,
            detail: format!(
                "This {} has used up its budget (limit `token`); the request did not reach Grafana, which has no limit of \
                 its own.",
                if found.key.is_some() { "credential" } else { "session" }
            ),
            hint: format!(
                "Retry in {seconds} s and send fewer requests at once, or raise `limits.per_token` in the proxy."
            ),
        },
        Limit::Client => Refused {
            reason: Reason::ClientRateLimited,
            detail: format!("{} has sent too many requests without a credential (limit `client`).", found.client),
            hint: format!(
                "Retry in {seconds} s; send a token to get a budget of your own, or raise `limits.per_client`."
            ),
        },
    }
}
