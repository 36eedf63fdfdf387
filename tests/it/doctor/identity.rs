//! The header arrives, and Grafana takes the request for somebody else: a hop signs in by itself, overwrites the
//! credential, or sets the organisation.

use super::chain::{Said, consult};
use super::realm::{Realm, basic_of, jwt_of};
use crate::support::hops::{Manners, hop};
use crate::support::peers::Peer;
use crate::support::{Program, TOKEN};

/// One chain, and what must be said of it.
struct Case {
    name: &'static str,
    realm: Realm,
    /// What a hop adds to each request, or replaces: names and values.
    front: Vec<(&'static str, String)>,
    back: Vec<(&'static str, String)>,
    proxy: bool,
    direct: bool,
    credential: String,
    arguments: Vec<String>,
    code: &'static str,
    holds: Vec<&'static str>,
}

impl Case {
    fn new(name: &'static str, code: &'static str, holds: &[&'static str]) -> Self {
        Self {
            name,
            realm: Realm::default(),
            front: Vec::new(),
            back: Vec::new(),
            proxy: true,
            direct: true,
            credential: TOKEN.to_owned(),
            arguments: Vec::new(),
            code,
            holds: holds.to_vec(),
        }
    }

    fn realm(self, realm: Realm) -> Self {
        Self { realm, ..self }
    }

    fn version(self, version: &'static str) -> Self {
        Self { realm: Realm { version, ..self.realm }, ..self }
    }

    fn front(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.front.push((name, value.into()));
        self
    }

    fn back(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.back.push((name, value.into()));
        self
    }

    fn without_proxy(self) -> Self {
        Self { proxy: false, ..self }
    }

    fn without_direct(self) -> Self {
        Self { direct: false, ..self }
    }

    fn credential(self, credential: impl Into<String>) -> Self {
        Self { credential: credential.into(), ..self }
    }

    fn arguments(self, arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(), ..self }
    }

    fn run(self) -> Result<(), String> {
        let origin = self.realm.start();
        let mut end = hop(origin.address, setting(self.back));
        let program = self.proxy.then(|| Program::before(&format!("http://{end}"), &[]));
        end = program.as_ref().map_or(end, |program| program.data);
        end = hop(end, setting(self.front));
        let direct = self.direct.then_some(origin.address);
        let said = consult(&format!("http://{end}"), direct, Some(&self.credential), &self.arguments);
        check(&said, self.name, self.code, &self.holds)
    }
}

/// Each of several texts must be there; nothing about other people but their login may be.
fn check(said: &Said, name: &str, code: &str, holds: &[&str]) -> Result<(), String> {
    for private in ["Full Name", "private@example.com"] {
        assert!(!said.everything.contains(private), "{name}: shows {private}:\n{}", said.everything);
    }
    said.check(name, code, "")?;
    holds.iter().try_for_each(|holds| said.check(name, code, holds))
}

fn run_all(cases: Vec<Case>) {
    let wrong: Vec<String> = cases.into_iter().filter_map(|case| case.run().err()).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A hop that sets these headers; an empty value removes one.
fn setting(headers: Vec<(&'static str, String)>) -> Manners {
    Manners::editing(move |lines| {
        for (name, value) in &headers {
            let start = format!("{}:", name.to_ascii_lowercase());
            lines.retain(|line| !line.to_ascii_lowercase().starts_with(&start));
            if !value.is_empty() {
                lines.push(format!("{name}: {value}"));
            }
        }
        None
    })
}

#[test]
fn chains_that_keep_the_identity_are_healthy() {
    let versions = ["9.5.2", "11.0.0", "12.4.0"];
    run_all(
        versions
            .into_iter()
            .map(|version| Case::new(version, "healthy", &[]).version(version))
            .chain([
                Case::new("user and password", "healthy", &[]).credential(basic_of("admin")),
                Case::new("routes are hidden", "healthy", &[]).realm(Realm { hides_caller: true, ..Realm::default() }),
                Case::new("an old Grafana ignores the organisation", "healthy", &[])
                    .version("9.5.2")
                    .back("X-Grafana-Org-Id", "2"),
                Case::new("the proxy drops who is named in front", "healthy", &[]).front("X-WEBAUTH-USER", "admin"),
            ])
            .collect(),
    );
}

#[test]
fn a_hop_that_signs_in_by_itself_is_found() {
    let both = ["user `admin`", "service account `sa-1-ci`", "--url", "--direct", "X-JWT-Assertion"];
    run_all(vec![
        Case::new("a JWT in front", "identity_differs", &both).front("X-JWT-Assertion", jwt_of("admin")),
        Case::new("a JWT behind", "identity_differs", &both).back("X-JWT-Assertion", jwt_of("admin")),
        Case::new("Cloudflare", "identity_differs", &["Cf-Access-Jwt-Assertion", "without a credential"])
            .front("Cf-Access-Jwt-Assertion", jwt_of("admin")),
        Case::new("IAP, no proxy", "identity_differs", &["X-Goog-IAP-JWT-Assertion"])
            .front("X-Goog-IAP-JWT-Assertion", jwt_of("admin"))
            .without_proxy(),
        Case::new("a JWT, 11.0", "identity_differs", &["user `viewer`", "a service account"])
            .version("11.0.0")
            .front("X-JWT-Assertion", jwt_of("viewer")),
        Case::new("a JWT, 9.5", "identity_differs", &["user `viewer`"])
            .version("9.5.2")
            .front("X-JWT-Assertion", jwt_of("viewer")),
        Case::new("a JWT, anonymous access is on", "identity_differs", &["user `viewer`"])
            .realm(Realm { anonymous: true, ..Realm::default() })
            .front("X-JWT-Assertion", jwt_of("viewer")),
        Case::new("a JWT, without --direct", "identity_differs", &["user `admin`", "no user"])
            .front("X-JWT-Assertion", jwt_of("admin"))
            .without_direct(),
        Case::new("Basic behind", "identity_differs", &["user `viewer`", "Authorization"])
            .back("Authorization", basic_of("viewer")),
        Case::new("Basic, no proxy", "identity_differs", &["user `viewer`", "Authorization"])
            .front("Authorization", basic_of("viewer"))
            .without_proxy(),
        Case::new("Basic over another user's", "identity_differs", &["user `viewer`", "user `admin`"])
            .credential(basic_of("admin"))
            .back("Authorization", basic_of("viewer")),
        Case::new("a JWT over a user's password", "identity_differs", &["user `viewer`", "user `admin`"])
            .credential(basic_of("admin"))
            .front("X-JWT-Assertion", jwt_of("viewer")),
        Case::new("nothing shows the caller", "signed_in_by_hop", &["401 through --direct"])
            .realm(Realm { hides_caller: true, ..Realm::default() })
            .front("Authorization", basic_of("viewer"))
            .without_proxy(),
    ]);
}

#[test]
fn one_side_that_refuses_or_serves_anonymously_is_found() {
    let forgets = Realm { forgets_token: true, ..Realm::default() };
    let open = Realm { anonymous: true, ..Realm::default() };
    run_all(vec![
        Case::new("an unknown token, and a JWT", "identity_differs", &["user `admin`", "token_unknown"])
            .realm(forgets)
            .front("X-JWT-Assertion", jwt_of("admin")),
        Case::new("an unknown token, and auth.proxy", "identity_differs", &["user `admin`", "X-WEBAUTH-USER"])
            .realm(forgets)
            .back("X-WEBAUTH-USER", "admin"),
        Case::new("an unknown token, and a session", "identity_differs", &["user `viewer`", "session cookie"])
            .realm(forgets)
            .back("Cookie", "grafana_session=viewer"),
        Case::new("stripped behind, and anonymous access hides it", "identity_differs", &["an anonymous visitor"])
            .realm(open)
            .back("Authorization", ""),
        Case::new("stripped, no proxy, anonymous", "identity_differs", &["an anonymous visitor", "sa-1-ci"])
            .realm(open)
            .front("Authorization", "")
            .without_proxy(),
        Case::new("anonymous access, both alike", "anonymous_access", &["200 without a credential"]).realm(open),
        Case::new("anonymous access, both alike, 11.0", "anonymous_access", &[]).realm(open).version("11.0.0"),
        Case::new("anonymous access, without --direct", "anonymous_access", &[]).realm(open).without_direct(),
        Case::new("anonymous access, an unknown token", "anonymous_access", &["an anonymous visitor"])
            .realm(Realm { anonymous: true, ..forgets }),
        Case::new("auth.proxy beside a good token", "signed_in_by_hop", &["user `viewer`"])
            .back("X-WEBAUTH-USER", "viewer"),
    ]);
}

#[test]
fn a_forced_organisation_is_found() {
    let admin = || basic_of("admin");
    run_all(vec![
        Case::new("forced behind", "organisation_differs", &["`admin`", "organisation 2", "organisation 1", "behind"])
            .credential(admin())
            .back("X-Grafana-Org-Id", "2"),
        Case::new("forced in front", "organisation_differs", &["organisation 2", "in front of the proxy"])
            .credential(admin())
            .front("X-Grafana-Org-Id", "2"),
        Case::new("forced, no proxy", "organisation_differs", &["organisation 2", "X-Grafana-Org-Id"])
            .credential(admin())
            .front("X-Grafana-Org-Id", "2")
            .without_proxy(),
        Case::new("overwritten", "organisation_differs", &["organisation 2"])
            .credential(admin())
            .arguments(&["--org", "1"])
            .back("X-Grafana-Org-Id", "2"),
        Case::new("forced, and not a member", "organisation_differs", &["`admin`", "403"])
            .credential(admin())
            .back("X-Grafana-Org-Id", "7"),
        Case::new("forced on a token", "organisation_differs", &["org_mismatch", "X-Grafana-Org-Id"])
            .back("X-Grafana-Org-Id", "2"),
        Case::new("forced on a token in front", "organisation_differs", &["organisation 2", "in front of the proxy"])
            .front("X-Grafana-Org-Id", "2"),
        Case::new("the wrong one is wanted, on both sides", "grafana_refuses", &["org_mismatch"])
            .arguments(&["--org", "2"]),
    ]);
}

/// What nginx says in `location`, whether it is in front of the proxy, the verdict, and what that holds.
const NGINX: [(&str, bool, &str, &str); 9] = [
    ("X-JWT-Assertion \"JWT\"", true, "identity_differs", "user `admin`"),
    ("Cf-Access-Jwt-Assertion \"JWT\"", false, "identity_differs", "user `admin`"),
    ("X-Goog-IAP-JWT-Assertion \"JWT\"", true, "identity_differs", "user `admin`"),
    ("X-WEBAUTH-USER admin", true, "healthy", ""),
    ("X-WEBAUTH-USER admin", false, "signed_in_by_hop", "user `admin`"),
    ("Authorization \"BASIC\"", false, "identity_differs", "user `viewer`"),
    ("Authorization \"BASIC\"", true, "changed_before_proxy", "`basic` reached the proxy"),
    ("X-Grafana-Org-Id 2", true, "organisation_differs", "in front of the proxy"),
    ("X-Grafana-Org-Id 2", false, "organisation_differs", "behind the proxy"),
];

#[test]
fn a_real_nginx_that_signs_in_is_found() {
    let mut wrong = Vec::new();
    for (header, is_in_front, code, holds) in NGINX {
        let grafana = Realm::default().start();
        let inside = |target: String| {
            let header =
                header.replace("JWT\"", &format!("{}\"", jwt_of("admin"))).replace("BASIC", &basic_of("viewer"));
            format!(
                "client_max_body_size 10m; location / {{ proxy_pass http://{target}; proxy_http_version 1.1; \
                 proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; \
                 proxy_set_header Host $http_host; proxy_set_header {header}; }}"
            )
        };
        let said = if is_in_front {
            let program = Program::before(&grafana.url(), &[]);
            let Some(peer) = Peer::nginx(&inside(program.data.to_string())) else { return };
            consult(&peer.url, Some(grafana.address), Some(TOKEN), &[])
        } else {
            let Some(peer) = Peer::nginx(&inside(grafana.address.to_string())) else { return };
            let program = Program::before(&peer.url, &[]);
            consult(&format!("http://{}", program.data), Some(grafana.address), Some(TOKEN), &[])
        };
        wrong.extend(check(&said, header, code, &[holds]).err());
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
