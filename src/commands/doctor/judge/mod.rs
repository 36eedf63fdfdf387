//! From observations to one verdict. Pure: the walk asks after each step what is known so far, and at the end for all of
//! it.
//!
//! What breaks everything behind it comes first: the way to Grafana, then the token, then the journey of the header, then
//! whether it leads to the same caller on both ways, then what the token may do, and last which limits bite.

mod advice;
mod identity;
mod journey;
mod limits;
#[cfg(test)]
mod tests;
mod way;

pub(super) use self::limits::ORDINARY;
use super::observations::{Observations, Role};
use super::report::sentence;
use super::verdict::{Code, Weight};
use crate::domain::reason::Reason;

macro_rules! steps {
    ($($variant:ident $name:literal)*) => {
        /// A step of the walk.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Step { $($variant,)* }

        impl Step {
            /// The name in both outputs.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

steps! {
    Name "name"
    Connection "connection"
    Tls "tls"
    Grafana "grafana"
    Proxy "proxy"
    Clock "clock"
    Token "token"
    NoHeader "no_header"
    Header "header"
    Spellings "spellings"
    Cookie "cookie"
    Identity "identity"
    Organisation "organisation"
    Permissions "permissions"
    Limits "rate_limits"
    WebSocket "websocket"
    LargeHeader "large_header"
    LargeBody "large_body"
    Comparison "comparison"
}

/// One thing that is wrong or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) step: Step,
    /// On which way; `None`: on neither.
    pub(super) role: Option<Role>,
    /// What speaks for it.
    pub(super) detail: String,
    pub(super) reason: Option<Reason>,
    pub(super) next: String,
}

impl Finding {
    fn new(code: Code, step: Step, role: Role, detail: impl Into<String>) -> Self {
        Self { code, step, role: Some(role), detail: detail.into(), reason: None, next: code.next().to_owned() }
    }

    /// With the reason, and the next step that fits it best; an empty hint leaves the one of the code.
    fn because(mut self, reason: Reason, hint: &str) -> Self {
        self.reason = Some(reason);
        if !hint.is_empty() {
            self.next = sentence(hint);
        }
        self
    }
}

/// All findings, the most telling first.
pub(super) fn findings(seen: &Observations) -> Vec<Finding> {
    let (url, direct) = (seen.way(Role::Url), seen.way(Role::Direct));
    let of_url = url.map(|way| way::judge(way, seen.now)).unwrap_or_default();
    let of_direct = direct.map(|way| way::judge(way, seen.now)).unwrap_or_default();
    // A hop that reaches nothing, where Grafana itself cannot be reached: the nearer cause comes first.
    let reaches_nothing = of_url
        .iter()
        .any(|finding| matches!(finding.code, Code::GrafanaUnreachable | Code::HopCannotReach | Code::NoAnswer));
    let mut found = Vec::new();
    if reaches_nothing {
        found.extend(of_direct.iter().filter(|finding| finding.code.weight() == Weight::Fail).cloned());
    }
    found.extend(of_url);
    if let Some(problem) = seen.credential.as_ref().and_then(|credential| credential.problem.as_ref()) {
        let unusable = Finding::new(Code::TokenUnusable, Step::Token, Role::Url, problem.detail.clone());
        found.push(Finding { role: None, ..unusable.because(problem.reason, &problem.hint) });
    }
    found.extend(url.and_then(|way| journey::judge(way, seen)));
    found.extend(identity::judge(seen));
    found.extend(direct.and_then(|way| journey::judge(way, seen)));
    if !reaches_nothing {
        found.extend(of_direct);
    }
    found.extend(seen.ways.iter().flat_map(|way| journey::rights(way, seen)));
    found.extend(seen.ways.iter().flat_map(|way| limits::judge(way, seen)));
    found.extend(url.and_then(|way| way::without_proxy(way, seen)));
    // The same hop, which the difference names already.
    if found.iter().any(|finding| finding.code == Code::IdentityDiffers) {
        found.retain(|finding| finding.code != Code::SignedInByHop);
    }
    found
}

/// The one conclusion, and what else was found.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// `None`: nothing is wrong.
    pub(super) finding: Option<Finding>,
    pub(super) others: Vec<Finding>,
}

impl Verdict {
    pub(super) fn code(&self) -> Code {
        self.finding.as_ref().map_or(Code::Healthy, |finding| finding.code)
    }
}

/// The first that fails, else the first warning.
pub(super) fn judge(seen: &Observations) -> Verdict {
    let mut found = findings(seen);
    let first = |weight: Weight| found.iter().position(|finding| finding.code.weight() == weight);
    let at = first(Weight::Fail).or_else(|| first(Weight::Warn));
    let finding = at.map(|at| found.remove(at));
    let mut others: Vec<Finding> = Vec::new();
    for other in found {
        if finding.iter().chain(&others).all(|known| (known.code, known.role) != (other.code, other.role)) {
            others.push(other);
        }
    }
    Verdict { finding, others }
}
