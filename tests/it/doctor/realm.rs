//! A stand-in for Grafana that knows several callers, and reads their credentials in Grafana's order: JWT, token, Basic,
//! the header of `auth.proxy`, session cookie, anonymous.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::chain;
use crate::support::origin::Seen;
use crate::support::{Origin, TOKEN};

/// Who signed in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Anonymous,
    /// The owner of the token; belongs to organisation 1.
    ServiceAccount,
    /// A member of organisations 1 and 2, or of 1 only.
    User(&'static str),
}

/// What is special about one Grafana.
#[derive(Clone, Copy)]
pub struct Realm {
    pub version: &'static str,
    pub anonymous: bool,
    /// The token is not in its database.
    pub forgets_token: bool,
    /// Without the routes that name the caller and its permissions, as where a hop hides them.
    pub hides_caller: bool,
}

impl Default for Realm {
    fn default() -> Self {
        Self { version: "12.4.0", anonymous: false, forgets_token: false, hides_caller: false }
    }
}

const NONE: &str = r#"{"extra":null,"message":"Unauthorized","messageId":"auth.unauthorized","statusCode":401}"#;
const UNKNOWN: &str = r#"{"message":"Unauthorized","traceID":""}"#;
const MISMATCH: &str = r#"{"extra":null,"message":"API key does not belong to the requested organization","messageId":"api-key.organization-mismatch","statusCode":401,"traceID":""}"#;
const NOT_ALLOWED: &str = r#"{"accessErrorId":"ACE0","message":"You'll need additional permissions to perform this action. Permissions needed: orgs:read","title":"Access denied"}"#;

/// A JWT that the stand-in believes.
pub fn jwt_of(login: &str) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(json!({"alg": "RS256"})), part(json!({ "sub": login })))
}

/// The value of `Authorization` that signs a user in.
pub fn basic_of(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{login}:secret")))
}

impl Realm {
    pub fn start(self) -> Origin {
        Origin::new(move |seen, stream| stream.write_all(&self.answer(seen)).is_ok())
    }

    fn answer(self, seen: &Seen) -> Vec<u8> {
        let mut line = seen.lines[0].split(' ');
        let (method, path) = (line.next().unwrap(), line.next().unwrap());
        if path == "/api/health" && method == "GET" {
            return chain::json(200, &json!({"database": "ok", "version": self.version}).to_string());
        }
        let caller = match self.sign_in(seen) {
            Ok(caller) => caller,
            Err(body) => return chain::json(401, body),
        };
        let asked: Option<i64> = seen.header("x-grafana-org-id").and_then(|value| value.parse().ok());
        let org = match (caller, asked) {
            (Caller::ServiceAccount, Some(org)) if org != 1 && self.minor() >= (10, 4) => {
                return chain::json(401, MISMATCH);
            }
            (Caller::ServiceAccount | Caller::Anonymous, _) | (_, None) => 1,
            (Caller::User("admin"), Some(org)) if org <= 2 => org,
            (Caller::User(_), Some(1)) => 1,
            (Caller::User(_), Some(_)) => -1,
        };
        self.route(path, seen, caller, org)
    }

    fn route(self, path: &str, seen: &Seen, caller: Caller, org: i64) -> Vec<u8> {
        match path {
            "/api/org" if org < 0 => chain::json(403, NOT_ALLOWED),
            "/api/org" => chain::json(200, &json!({"id": org, "name": "Some Org."}).to_string()),
            "/api/user" | "/api/access-control/user/permissions" if self.hides_caller => {
                chain::json(404, r#"{"message":"Not found"}"#)
            }
            "/api/user" => self.user(caller),
            "/api/access-control/user/permissions" => {
                // In another order each time, as a map of Go's is.
                let viewer = r#"{"orgs:read":[""],"dashboards:read":["folders:uid:b","folders:uid:a"]}"#;
                let ci = r#"{"dashboards:read":["folders:uid:a","folders:uid:b"],"orgs:read":[""]}"#;
                let admin = r#"{"orgs:read":[""],"orgs:write":[""],"dashboards:read":["*"],"users:read":["*"]}"#;
                chain::json(
                    200,
                    match caller {
                        Caller::User("admin") => admin,
                        Caller::User("editor") => ci,
                        _ if seen.connection.is_multiple_of(2) => viewer,
                        _ => ci,
                    },
                )
            }
            "/api/live/ws" if seen.header("upgrade").is_some() => {
                // To the key that the doctor sends.
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: Fjk6Mj4OJ3d6fdpxpPhh0QDNZpc=\r\n\r\n".to_vec()
            }
            _ => chain::json(404, r#"{"message":"Not found"}"#),
        }
    }

    /// `GET /api/user`, whose answer to service accounts depends on the version.
    fn user(self, caller: Caller) -> Vec<u8> {
        match caller {
            Caller::Anonymous => chain::json(401, UNKNOWN),
            Caller::ServiceAccount if self.minor() < (10, 4) => chain::json(404, r#"{"message":"user not found"}"#),
            Caller::ServiceAccount if self.minor() < (11, 1) => {
                chain::json(403, r#"{"message":"Endpoint only available for users"}"#)
            }
            Caller::ServiceAccount => chain::json(
                200,
                r#"{"id":0,"uid":"service-account:2","login":"sa-1-ci","name":"ci","email":"","orgId":1}"#,
            ),
            Caller::User(login) => {
                let user = json!({
                    "id": login.len(), "uid": format!("u-{login}"), "login": login, "name": "Full Name Of Somebody",
                    "email": "private@example.com", "orgId": 1,
                });
                chain::json(200, &user.to_string())
            }
        }
    }

    fn sign_in(self, seen: &Seen) -> Result<Caller, &'static str> {
        let jwt = ["x-jwt-assertion", "cf-access-jwt-assertion", "x-goog-iap-jwt-assertion"];
        if let Some(caller) = jwt.iter().find_map(|name| user_of_jwt(&seen.header(name)?)) {
            return Ok(caller);
        }
        let given = seen.header("authorization").unwrap_or_default();
        let (token, key) = (format!("Bearer {TOKEN}"), STANDARD.encode(format!("api_key:{TOKEN}")));
        if !self.forgets_token && (given == token || given == format!("Basic {key}")) {
            return Ok(Caller::ServiceAccount);
        }
        for login in ["admin", "viewer", "editor"] {
            let is_proxied = seen.header("x-webauth-user").is_some_and(|value| value == login);
            let has_session = seen.header("cookie").is_some_and(|value| value == format!("grafana_session={login}"));
            if given == basic_of(login) || is_proxied || has_session {
                return Ok(Caller::User(login));
            }
        }
        match (self.anonymous, given.as_str(), seen.header("cookie")) {
            (true, ..) => Ok(Caller::Anonymous),
            (_, "", None) => Err(NONE),
            _ => Err(UNKNOWN),
        }
    }

    fn minor(self) -> (u32, u32) {
        let mut parts = self.version.split('.').map(|part| part.parse().unwrap());
        (parts.next().unwrap(), parts.next().unwrap())
    }
}

fn user_of_jwt(value: &str) -> Option<Caller> {
    let claims = URL_SAFE_NO_PAD.decode(value.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    ["admin", "viewer", "editor"].into_iter().find(|login| claims["sub"] == *login).map(Caller::User)
}
