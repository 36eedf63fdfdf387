//! The tour: the requests that the demo sends through the proxy, and what must come of each.

use std::io;

use super::keyring::{Account, Keyring, Role, Standing, Token};
use crate::domain::credential::Change;
use crate::domain::reason::Reason;

/// One request.
#[derive(Debug)]
pub(super) struct Step {
    /// What it shows.
    pub title: &'static str,
    /// The target; the method is always GET.
    pub target: &'static str,
    /// `Authorization`, if it is sent.
    pub credential: Option<Credential>,
    /// A further header.
    pub field: Option<(&'static str, &'static str)>,
    /// Whether it is sent until it is refused.
    pub until_refused: bool,
    /// What must come of it.
    pub expected: Expected,
}

/// A token with what somebody has put around it.
#[derive(Debug)]
pub(super) struct Credential {
    before: &'static str,
    token: Token,
    after: &'static str,
}

/// What must come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// The status.
    pub status: u16,
    /// The reason, where it is a refusal.
    pub reason: Option<Reason>,
    /// The repairs.
    pub changes: &'static [Change],
}

impl Credential {
    /// The value of the header, token and all.
    fn exposed(&self) -> String {
        format!("{}{}{}", self.before, self.token.expose(), self.after)
    }

    /// The value as it may be shown.
    pub(super) fn shown(&self) -> String {
        format!("{}{}{}", self.before, self.token.masked(), self.after.replace('\n', "\\n"))
    }

    /// Whether there is a newline in it, which no shell's plain quotes can say.
    pub(super) fn has_newline(&self) -> bool {
        self.after.contains('\n')
    }
}

impl Step {
    fn new(title: &'static str, target: &'static str, credential: Option<Credential>, expected: Expected) -> Self {
        Self { title, target, credential, field: None, until_refused: false, expected }
    }

    /// The bytes of the request. The credential comes early: what a newline in it does must be seen.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("GET {} HTTP/1.1\r\nHost: grafana.example.test\r\n", self.target);
        if let Some(credential) = &self.credential {
            text.push_str(&format!("Authorization: {}\r\n", credential.exposed()));
        }
        if let Some((name, value)) = self.field {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("User-Agent: demo\r\nX-Token-Proxy-Probe: demo\r\nConnection: close\r\n\r\n");
        text.into_bytes()
    }
}

const fn served(changes: &'static [Change]) -> Expected {
    Expected { status: 200, reason: None, changes }
}

const fn refused(status: u16, reason: Reason) -> Expected {
    Expected { status, reason: Some(reason), changes: &[] }
}

/// The requests in their order. Each has a token of its own, so that none spends another's budget.
pub(super) fn steps(keyring: &mut Keyring) -> io::Result<Vec<Step>> {
    const ORG: &str = "/api/org";
    let mut viewer = |before, after| {
        let token = keyring.issue(Account::VIEWER)?;
        Ok::<_, io::Error>(Some(Credential { before, token, after }))
    };
    let unreadable = refused(400, Reason::NewlineInHead);
    let query = "/api/datasources/proxy/uid/up401/api/v1/query?query=up";
    let mut steps = vec![
        Step::new("A good token passes", ORG, viewer("Bearer ", "")?, served(&[])),
        Step::new("A token without its scheme", ORG, viewer("", "")?, served(&[Change::BearerAdded])),
        Step::new(
            "A scheme in lower case and a token in quotes",
            ORG,
            viewer("bearer \"", "\"")?,
            served(&[Change::SchemeCase, Change::QuotesRemoved]),
        ),
        Step::new("A newline, percent-encoded", ORG, viewer("Bearer ", "%0A")?, served(&[Change::NewlineTrimmed])),
        Step::new("No credential at all", ORG, None, refused(401, Reason::CredentialMissing)),
    ];
    let other_org = Step {
        field: Some(("X-Grafana-Org-Id", "2")),
        ..Step::new("A token of another organisation", ORG, viewer("Bearer ", "")?, refused(401, Reason::OrgMismatch))
    };
    let role = Step::new(
        "A role that is too low",
        "/api/org/users",
        viewer("Bearer ", "")?,
        refused(403, Reason::PermissionMissing),
    );
    let datasource = Step::new(
        "A datasource that refuses Grafana, disguised as 400",
        query,
        viewer("Bearer ", "")?,
        refused(400, Reason::DatasourceUnauthorized),
    );
    let newline = Step::new("A real newline in the header", ORG, viewer("Bearer ", "\n")?, unreadable);
    let busy = Step {
        until_refused: true,
        ..Step::new("A token that asks too often", ORG, viewer("Bearer ", "")?, refused(429, Reason::TokenRateLimited))
    };
    steps.extend(dead_tokens(keyring)?);
    steps.extend([other_org, role, datasource]);
    let page = "/d/opendash/open-dashboard?orgId=1";
    let login = refused(302, Reason::RedirectedToLogin);
    steps.push(Step::new("A page instead of the API, without a login", page, None, login));
    steps.extend([newline, busy]);
    Ok(steps)
}

/// Tokens that Grafana knows no more, or never did.
fn dead_tokens(keyring: &mut Keyring) -> io::Result<Vec<Step>> {
    let tokens = [
        ("An expired token", keyring.issue(Account::VIEWER.with(Standing::Expired))?, Reason::TokenExpired),
        ("A revoked token", keyring.issue(Account::VIEWER.with(Standing::Revoked))?, Reason::TokenRevoked),
        (
            "A token of a service account that is disabled",
            keyring.issue(Account::VIEWER.with(Standing::Disabled))?,
            Reason::ServiceAccountDisabled,
        ),
        ("A sound token that Grafana does not know", Token::mint()?, Reason::TokenUnknown),
        ("A token with one wrong character", keyring.issue(Account::VIEWER)?.damaged(), Reason::TokenMalformed),
    ];
    let step = |(title, token, reason)| {
        let credential = Credential { before: "Bearer ", token, after: "" };
        Step::new(title, "/api/org", Some(credential), refused(401, reason))
    };
    Ok(tokens.into_iter().map(step).collect())
}

/// The tokens to try things out with, by the names of their files.
pub(super) fn samples(keyring: &mut Keyring) -> io::Result<Vec<(&'static str, Token)>> {
    let of = |standing| Account::VIEWER.with(standing);
    Ok(vec![
        ("good", keyring.issue(Account::VIEWER)?),
        ("admin", keyring.issue(Account { role: Role::Admin, ..Account::VIEWER })?),
        ("organisation-2", keyring.issue(Account { org: 2, ..Account::VIEWER })?),
        ("legacy", keyring.issue(Account { is_legacy: true, ..Account::VIEWER })?),
        ("expired", keyring.issue(of(Standing::Expired))?),
        ("revoked", keyring.issue(of(Standing::Revoked))?),
        ("disabled", keyring.issue(of(Standing::Disabled))?),
        ("unknown", Token::mint()?),
        ("damaged", Token::mint()?.damaged()),
    ])
}
