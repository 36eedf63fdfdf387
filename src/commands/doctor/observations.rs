//! What the walk has found out: plain data, from which [`super::judge`] concludes.

use std::net::SocketAddr;
use std::time::Duration;

use super::certificate::Certificate;
use super::credential::{Facts, Spelling};
use super::identity::Identity;
use super::kubernetes::Service;
use super::reply::Reply;
use super::target::Target;

/// Which of the two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The way that callers take.
    Url,
    /// Past everything, to Grafana itself.
    Direct,
}

impl Role {
    /// The flag that names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Direct => "direct",
        }
    }
}

/// Where time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Name,
    Connection,
    Tls,
    Answer,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    NameUnknown(String),
    /// Nothing listens there.
    Refused,
    Unreachable(String),
    TimedOut(Stage),
    Tls(TlsFault),
    /// The connection ended before an answer had come.
    Closed,
    NotHttp,
}

/// What is wrong with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TlsFault {
    /// What answers speaks no TLS.
    Missing,
    Expired,
    NotYetValid,
    /// With the names that the certificate is for.
    WrongName(Vec<String>),
    UnknownIssuer,
    Other(String),
}

/// A TLS connection, believed or not.
#[derive(Clone, Debug)]
pub(super) struct TlsFacts {
    pub(super) version: String,
    /// The version of HTTP that was agreed upon.
    pub(super) protocol: Option<String>,
    pub(super) certificate: Option<Certificate>,
    /// How many certificates the server has sent.
    pub(super) chain: usize,
}

/// An answer, or why there is none.
pub(super) type Outcome = Result<Reply, Trouble>;

/// What became of a WebSocket.
#[derive(Clone, Debug)]
pub(super) enum Socket {
    /// It was opened, and still there after this time.
    Held(Duration),
    /// It was opened, and cut after this time.
    Cut(Duration),
    /// It was not opened.
    Refused(Box<Outcome>),
}

/// One way, as far as it was walked.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) role: Role,
    pub(super) target: Target,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) address: Option<SocketAddr>,
    pub(super) tls: Option<TlsFacts>,
    /// Why no connection came about.
    pub(super) trouble: Option<Trouble>,
    /// `/api/health`, without a credential.
    pub(super) health: Option<Outcome>,
    /// `/api/org` without a credential.
    pub(super) without: Option<Outcome>,
    /// `/api/org` with the credential, spelt as it should be.
    pub(super) with: Option<Outcome>,
    /// `/api/user` without a credential, where `/api/org` is served without one.
    pub(super) user_without: Option<Outcome>,
    /// `/api/user` with the credential.
    pub(super) user: Option<Outcome>,
    /// `/api/org` with the credential, damaged.
    pub(super) spellings: Vec<(Spelling, Outcome)>,
    /// `/api/org` with the cookie of a session that is none.
    pub(super) cookie: Option<Outcome>,
    pub(super) permissions: Option<Outcome>,
    pub(super) socket: Option<Socket>,
    pub(super) large_head: Option<Outcome>,
    /// A body as a dashboard has it, and one larger than what nginx lets pass by itself.
    pub(super) bodies: Vec<(usize, Outcome)>,
}

impl Way {
    pub(super) const fn new(role: Role, target: Target) -> Self {
        Self {
            role,
            target,
            addresses: Vec::new(),
            address: None,
            tls: None,
            trouble: None,
            health: None,
            without: None,
            with: None,
            user_without: None,
            user: None,
            spellings: Vec::new(),
            cookie: None,
            permissions: None,
            socket: None,
            large_head: None,
            bodies: Vec::new(),
        }
    }

    /// All answers so far.
    pub(super) fn replies(&self) -> impl Iterator<Item = &Reply> {
        let single = [
            &self.health,
            &self.without,
            &self.user_without,
            &self.with,
            &self.user,
            &self.cookie,
            &self.permissions,
            &self.large_head,
        ];
        let several =
            self.spellings.iter().map(|(_, outcome)| outcome).chain(self.bodies.iter().map(|(_, outcome)| outcome));
        let socket = match &self.socket {
            Some(Socket::Refused(outcome)) => Some(outcome.as_ref()),
            _ => None,
        };
        single.into_iter().flatten().chain(several).chain(socket).filter_map(|outcome| outcome.as_ref().ok())
    }

    /// Whether our proxy has answered, or has said something about an answer.
    pub(super) fn has_proxy(&self) -> bool {
        self.replies().any(|reply| reply.saw.is_some() || reply.refusal.as_ref().is_some_and(|refusal| refusal.told))
    }

    /// Grafana's version.
    pub(super) fn version(&self) -> Option<&str> {
        reply(&self.health)?.body.as_ref()?.get("version")?.as_str()
    }

    /// The organisation in which the credential has landed.
    pub(super) fn organisation(&self) -> Option<u64> {
        reply(&self.with).filter(|_| self.is_served())?.body.as_ref()?.get("id")?.as_u64()
    }

    /// `/api/org` is served with the credential.
    pub(super) fn is_served(&self) -> bool {
        reply(&self.with).is_some_and(|reply| reply.status == 200)
    }

    /// `/api/org` is served without a credential, too.
    pub(super) fn is_open(&self) -> bool {
        reply(&self.without).is_some_and(|reply| reply.status == 200)
    }

    /// The caller that Grafana sees in a request with the credential.
    pub(super) fn identity(&self) -> Option<Identity> {
        // Who is refused everywhere is no anonymous visitor.
        Identity::of(reply(&self.user)?).filter(|identity| self.is_served() || !identity.is_anonymous())
    }

    /// The caller that Grafana sees in a request without a credential.
    pub(super) fn identity_without(&self) -> Option<Identity> {
        Identity::of(reply(&self.user_without)?).filter(|_| self.is_open())
    }

    /// Grafana serves the credential, and not only because it serves everybody.
    pub(super) fn accepts(&self) -> bool {
        self.is_served() && self.identity().map_or(!self.is_open(), |identity| !identity.is_anonymous())
    }
}

/// The answer, where one came.
pub(super) const fn reply(outcome: &Option<Outcome>) -> Option<&Reply> {
    match outcome {
        Some(Ok(reply)) => Some(reply),
        _ => None,
    }
}

/// All that is known.
#[derive(Clone, Debug)]
pub(super) struct Observations {
    pub(super) ways: Vec<Way>,
    /// `None`: no credential was given.
    pub(super) credential: Option<Facts>,
    /// The organisation that is wanted.
    pub(super) org: Option<u32>,
    /// The permissions that are wanted.
    pub(super) needs: Vec<String>,
    /// What Kubernetes says of the namespace, where this runs in it.
    pub(super) services: Vec<Service>,
    /// The time of day, since 1970.
    pub(super) now: Duration,
}

impl Observations {
    /// The Service that a way leads to.
    pub(super) fn service(&self, way: &Way) -> Option<&Service> {
        let address = way.address?;
        self.services.iter().find(|service| service.is_at(address))
    }

    pub(super) fn way(&self, role: Role) -> Option<&Way> {
        self.ways.iter().find(|way| way.role == role)
    }
}
