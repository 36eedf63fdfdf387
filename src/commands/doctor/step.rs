//! One line for each step: what was found, and how to see it again. Whether it is well, only [`super::judge`] says.

use super::judge::{Finding, Step, findings};
use super::observations::{Observations, Outcome, Role, Socket, Way, reply};
use super::verdict::Weight;
use crate::domain::token::TokenKind;

/// A step that was walked.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) step: Step,
    pub(super) role: Option<Role>,
    pub(super) weight: Weight,
    pub(super) found: String,
    /// The command that shows the same, the token read from a file.
    pub(super) again: Option<String>,
}

/// What is known of a step by now.
pub(super) fn tell(seen: &Observations, step: Step, role: Option<Role>, file: &str) -> Told {
    let own = |finding: &&Finding| finding.step == step && finding.role == role;
    let all = findings(seen);
    let worst = all.iter().filter(own).max_by_key(|finding| finding.code.weight());
    let way = role.and_then(|role| seen.way(role));
    let found = match (worst, way) {
        (Some(finding), _) => finding.detail.clone(),
        (None, Some(way)) => describe(seen, step, way),
        (None, None) if step == Step::Comparison => comparison(seen),
        (None, None) => token(seen),
    };
    let weight = worst.map_or(Weight::Ok, |finding| finding.code.weight());
    // What both ways answer differently shows on the one that callers take.
    let shown = if step == Step::Comparison { seen.way(Role::Url) } else { way };
    Told { step, role, weight, found, again: shown.and_then(|way| again(way, step, file)) }
}

fn token(seen: &Observations) -> String {
    let Some(facts) = &seen.credential else { return "none was given".to_owned() };
    let kind = facts.kind.map_or(facts.form.name(), TokenKind::name);
    let mut text = format!("{kind}, {} characters", facts.length);
    if let Some(fingerprint) = &facts.fingerprint {
        text.push_str(&format!(", fingerprint {fingerprint}"));
    }
    if !facts.changes.is_empty() {
        text.push_str(&format!("; the file needed {}", facts.changes.join(", ")));
    }
    text
}

fn describe(seen: &Observations, step: Step, way: &Way) -> String {
    match step {
        Step::Name if way.target.address().is_some() => "an address: there is no name to resolve".to_owned(),
        Step::Name => {
            let addresses: Vec<_> = way.addresses.iter().take(4).map(|address| address.ip().to_string()).collect();
            format!("{}: {}", way.target.host, addresses.join(", "))
        }
        Step::Connection => {
            let service = seen.service(way).map(|service| format!(", the Service `{}`", service.name));
            let address = way.address.map_or_else(|| "none".to_owned(), |address| format!("to {address}"));
            format!("{address}{}", service.unwrap_or_default())
        }
        Step::Tls => tls(seen, way),
        Step::Grafana => match (way.version(), reply(&way.health).map(|health| health.status)) {
            (Some(version), _) => format!("Grafana {}{}", super::reply::printable(version, 40), generation(way)),
            (None, Some(200)) => format!("Grafana, which hides its version{}", generation(way)),
            (None, status) => format!("answers {}", status.unwrap_or_default()),
        },
        Step::Proxy => match way.replies().find_map(|reply| reply.saw.as_ref()) {
            Some(saw) => format!("grafana-token-proxy {} is on the way", saw.version),
            None => "no grafana-token-proxy is on the way".to_owned(),
        },
        Step::Clock => match way.replies().find_map(|reply| reply.skew) {
            Some(skew) => format!("{} s apart", skew.abs()),
            None => "no answer says the time".to_owned(),
        },
        Step::NoHeader => match way.identity_without() {
            Some(identity) => format!("{}, as {}", refusal_of(&way.without), identity.name()),
            None => refusal_of(&way.without),
        },
        Step::Header => header(way),
        Step::Spellings => spellings(way),
        Step::Cookie => refusal_of(&way.cookie),
        Step::Identity => match way.identity() {
            Some(identity) => identity.name(),
            None => format!("the response does not show it ({})", refusal_of(&way.user)),
        },
        Step::Organisation => match way.organisation() {
            Some(org) => format!("organisation {org}"),
            None => "the answer names none".to_owned(),
        },
        Step::Permissions => permissions(seen, way),
        Step::Limits => limits(way),
        Step::WebSocket => match &way.socket {
            Some(Socket::Held(time)) => format!("opened, and held for {:.1} s of silence", time.as_secs_f64()),
            Some(Socket::Refused(outcome)) => match outcome.as_ref() {
                Ok(reply) => format!("answers {}: this Grafana has no Live", reply.status),
                Err(_) => "not opened".to_owned(),
            },
            _ => "not opened".to_owned(),
        },
        Step::LargeHeader => "6 KiB pass".to_owned(),
        Step::LargeBody => {
            let sizes: Vec<_> = way.bodies.iter().map(|(size, _)| format!("{} KiB", size / 1024)).collect();
            let answered = way.bodies.iter().all(|(_, outcome)| outcome.is_ok());
            format!(
                "{} {}",
                sizes.join(" and "),
                if answered { "pass" } else { "are answered by closing: nothing shows" }
            )
        }
        Step::Token | Step::Comparison => token(seen),
    }
}

/// What is known to be the same on both ways.
fn comparison(seen: &Observations) -> String {
    let both = (seen.way(Role::Url), seen.way(Role::Direct));
    let (Some(url), Some(direct)) = both else { return "there is one way only".to_owned() };
    if !url.is_served() || !direct.is_served() {
        return "not both ways serve the credential".to_owned();
    }
    let is_known = |way: &Way| way.identity().is_some();
    match is_known(url) && is_known(direct) {
        true => "the same caller, organisation and permissions on both ways, as far as Grafana reports them".to_owned(),
        false => "the same organisation and permissions on both ways, as far as Grafana reports them".to_owned(),
    }
}

/// How Grafana authenticates, read from how it refuses nothing.
fn generation(way: &Way) -> &'static str {
    let major = way.version().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    match major {
        Some(0..=8) => " (API keys)",
        Some(9) => " (service accounts, first generation)",
        Some(_) => " (service accounts)",
        None => "",
    }
}

fn tls(seen: &Observations, way: &Way) -> String {
    let Some(tls) = &way.tls else { return "none".to_owned() };
    let protocol = tls.protocol.as_deref().unwrap_or("HTTP/1.1, by default");
    let certificate = tls.certificate.as_ref().map(|certificate| {
        let days = certificate.days_left(seen.now);
        format!(", `{}` by `{}`, {days} days left", certificate.subject, certificate.issuer)
    });
    format!("{}, {protocol}{}", tls.version, certificate.unwrap_or_default())
}

fn refusal_of(outcome: &Option<Outcome>) -> String {
    match outcome {
        Some(Ok(reply)) => match &reply.refusal {
            Some(refusal) => format!("{}, {}", reply.status, refusal.reason),
            None => format!("{}", reply.status),
        },
        _ => "no answer".to_owned(),
    }
}

fn header(way: &Way) -> String {
    let said = refusal_of(&way.with);
    match reply(&way.with).and_then(|reply| reply.saw.as_ref()) {
        Some(saw) => format!("{said}; the proxy got `{}` and sent `{}`", saw.received, saw.sent),
        None => said,
    }
}

fn spellings(way: &Way) -> String {
    if way.spellings.is_empty() {
        return "the credential is no token".to_owned();
    }
    let answers: Vec<String> = way
        .spellings
        .iter()
        .map(|(spelling, outcome)| match outcome {
            Ok(reply) => format!("{} {}", spelling.name(), reply.status),
            Err(_) => format!("{} unanswered", spelling.name()),
        })
        .collect();
    answers.join(", ")
}

fn permissions(seen: &Observations, way: &Way) -> String {
    let Some(reply) = reply(&way.permissions) else { return "no answer".to_owned() };
    let held = reply.body.as_ref().and_then(|body| body.as_object()).filter(|_| reply.status == 200);
    match held {
        Some(held) if seen.needs.is_empty() => format!("{} permissions", held.len()),
        Some(held) => format!("{} permissions, among them {}", held.len(), seen.needs.join(", ")),
        None if reply.status == 404 => "this Grafana does not tell them (before 9.0)".to_owned(),
        None => format!("answers {}", reply.status),
    }
}

fn limits(way: &Way) -> String {
    let told =
        [&way.with, &way.without, &way.health].into_iter().filter_map(reply).find(|reply| !reply.limits.is_empty());
    told.map_or_else(|| "no answer names one".to_owned(), |reply| reply.limits.join("; "))
}

/// The command that shows the same.
fn again(way: &Way, step: Step, file: &str) -> Option<String> {
    let target = &way.target;
    let url = |path: &str| quoted(&target.url(path));
    let token = format!("sed 's/^/Authorization: Bearer /' {} | curl -si -H @-", quoted(file));
    Some(match step {
        Step::Name => format!("getent ahosts {}", quoted(&target.host)),
        Step::Connection => format!("curl -sv {} -o /dev/null", url("/")),
        Step::Tls => {
            let address = quoted(&format!("{}:{}", target.host, target.port));
            format!("openssl s_client -connect {address} -servername {} </dev/null", quoted(&target.host))
        }
        Step::Grafana | Step::Clock | Step::Limits => format!("curl -si {}", url("/api/health")),
        Step::Proxy => format!("curl -si -H 'X-Token-Proxy-Probe: 1' {} | grep -i saw", url("/api/org")),
        Step::NoHeader => format!("curl -si {}", url("/api/org")),
        Step::Header | Step::Organisation => format!("{token} -H 'X-Token-Proxy-Probe: 1' {}", url("/api/org")),
        Step::Identity | Step::Comparison => format!("{token} {}", url("/api/user")),
        Step::Permissions => format!("{token} {}", url("/api/access-control/user/permissions")),
        Step::Cookie => {
            format!("curl -si -H 'Cookie: grafana_session=00000000000000000000000000000000' {}", url("/api/org"))
        }
        Step::WebSocket => format!(
            "{token} --http1.1 -m 5 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
             -H 'Sec-WebSocket-Key: Z3JhZmFuYSBkb2N0b3IhIQ==' {}",
            url("/api/live/ws")
        ),
        Step::LargeHeader => {
            format!("curl -si -H \"X-Doctor-Padding: $(head -c 6144 /dev/zero | tr '\\0' x)\" {}", url("/api/health"))
        }
        Step::LargeBody => {
            let size = way.bodies.last().map_or(super::judge::ORDINARY, |(size, _)| *size);
            format!("head -c {size} /dev/zero | curl -si --data-binary @- {}", url("/api/health"))
        }
        Step::Spellings | Step::Token => return None,
    })
}

/// For a shell, whatever it holds.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,[]".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
