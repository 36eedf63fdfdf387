//! The caller that Grafana takes a request for, as `GET /api/user` shows it.

use serde_json::Value;

use super::reply::{Reply, printable};
use crate::domain::reason::Source;

/// What kind of caller Grafana sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Anonymous,
    /// A service account or a legacy API key: no person.
    Machine,
    User,
}

/// The caller that Grafana sees. What this version of Grafana does not report is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    kind: Kind,
    login: Option<String>,
    id: Option<u64>,
    uid: Option<String>,
}

impl Identity {
    /// Reads the response to `GET /api/user`; `None` where it shows nothing.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        let unnamed = |kind| Some(Self { kind, login: None, id: None, uid: None });
        let body = reply.body.as_ref()?;
        let member = |name: &str| body.get(name).and_then(Value::as_str);
        let says = |words: &str| member("message").is_some_and(|message| message.eq_ignore_ascii_case(words));
        match reply.status {
            // A profile: other members are private, and are not kept.
            200 => {
                let (login, id) = (member("login")?, body.get("id").and_then(Value::as_u64));
                let uid = member("uid").filter(|uid| !uid.is_empty());
                let is_machine = match uid {
                    _ if id == Some(0) => true,
                    Some(uid) => uid.starts_with("service-account:") || uid.starts_with("api-key:"),
                    None => login.starts_with("sa-"),
                };
                let kind = if is_machine { Kind::Machine } else { Kind::User };
                let short = |text: &str| printable(text, 60);
                // Some versions write the kind in front of it.
                let uid = uid.map(|uid| short(uid.rsplit(':').next().unwrap_or(uid)));
                Some(Self { kind, login: Some(short(login)), id, uid })
            }
            // Grafana 10.4 to 11.0, then every version before.
            403 if says("endpoint only available for users") => unnamed(Kind::Machine),
            404 if says("user not found") => unnamed(Kind::Machine),
            401 if reply.refusal.as_ref().is_some_and(|refusal| refusal.reason.source() == Source::Grafana) => {
                unnamed(Kind::Anonymous)
            }
            _ => None,
        }
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.kind == Kind::Anonymous
    }

    pub(super) fn is_user(&self) -> bool {
        self.kind == Kind::User
    }

    /// Whether Grafana names the caller.
    pub(super) const fn is_named(&self) -> bool {
        self.login.is_some()
    }

    /// Whether both may be the same caller: nothing that both report differs.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        self.kind == other.kind
            && agree(&self.login, &other.login)
            && agree(&self.id, &other.id)
            && agree(&self.uid, &other.uid)
    }

    /// For a sentence: no more than the login.
    pub(super) fn name(&self) -> String {
        match (self.kind, &self.login) {
            (Kind::Anonymous, _) => "an anonymous visitor".to_owned(),
            (Kind::Machine, None) => "a service account".to_owned(),
            (Kind::Machine, Some(login)) => format!("service account `{login}`"),
            (Kind::User, login) => format!("user `{}`", login.as_deref().unwrap_or_default()),
        }
    }

    /// For a sentence that names `other`, too: where the logins are equal, the ids tell the two apart.
    pub(super) fn name_beside(&self, other: &Self) -> String {
        match (self.id, &self.uid) {
            _ if self.name() != other.name() => self.name(),
            (Some(id), _) if self.id != other.id => format!("{} (id {id})", self.name()),
            (_, Some(uid)) if self.uid != other.uid => format!("{} (uid {uid})", self.name()),
            _ => self.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, StatusCode};

    use super::super::reply::Question;
    use super::*;

    fn identity(status: u16, body: &str) -> Option<Identity> {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", "no-store".parse().unwrap());
        headers.insert("x-frame-options", "deny".parse().unwrap());
        let sent = HeaderMap::new();
        let asked = Question { method: &Method::GET, path: "/api/user", headers: &sent, probe: "p" };
        let status = StatusCode::from_u16(status).unwrap();
        Identity::of(&Reply::read(&asked, status, &headers, body.as_bytes(), std::time::SystemTime::UNIX_EPOCH))
    }

    #[test]
    fn every_version_shows_what_kind_of_caller_it_sees() {
        for (status, body, name) in [
            (200, r#"{"id":1,"uid":"u1","login":"admin","name":"Someone"}"#, Some("user `admin`")),
            (200, r#"{"id":0,"uid":"service-account:2","login":"sa-1-ci"}"#, Some("service account `sa-1-ci`")),
            (200, r#"{"id":0,"uid":"service-account:3","login":"extsvc-app"}"#, Some("service account `extsvc-app`")),
            (200, r#"{"id":4,"login":"sa-ci"}"#, Some("service account `sa-ci`")),
            (200, r#"{"id":4,"uid":"u4","login":"sa-jones"}"#, Some("user `sa-jones`")),
            (403, r#"{"message":"Endpoint only available for users"}"#, Some("a service account")),
            (404, r#"{"message":"User not found"}"#, Some("a service account")),
            (401, r#"{"message":"Unauthorized"}"#, Some("an anonymous visitor")),
            (404, r#"{"message":"Not found"}"#, None),
            (403, r#"{"message":"Forbidden"}"#, None),
            (200, r#"{"message":"welcome"}"#, None),
            (200, "<html>", None),
        ] {
            assert_eq!(identity(status, body).map(|found| found.name()).as_deref(), name, "{status} {body}");
        }
    }

    #[test]
    fn what_only_one_side_reports_makes_no_difference() {
        let [user, same, elsewhere, other, renamed] = [
            r#"{"id":1,"uid":"u1","login":"admin"}"#,
            r#"{"id":1,"login":"admin"}"#,
            r#"{"id":1,"uid":"u2","login":"admin"}"#,
            r#"{"id":7,"login":"admin"}"#,
            r#"{"id":1,"login":"viewer"}"#,
        ]
        .map(|body| identity(200, body).unwrap());
        assert!(user.agrees_with(&same) && same.agrees_with(&user));
        assert!(!user.agrees_with(&other) && !user.agrees_with(&renamed));
        assert!(!user.agrees_with(&elsewhere), "another Grafana has an admin, too");
        assert_eq!(user.name_beside(&other), "user `admin` (id 1)");
        assert_eq!(user.name_beside(&elsewhere), "user `admin` (uid u1)");
        assert_eq!(user.name_beside(&renamed), "user `admin`");
        let named = identity(200, r#"{"id":0,"uid":"service-account:2","login":"sa-1-ci"}"#).unwrap();
        let unnamed = identity(403, r#"{"message":"Endpoint only available for users"}"#).unwrap();
        assert!(named.agrees_with(&unnamed) && !named.agrees_with(&user));
    }
}
