//! The stand-in against what Grafana 11.0.0 was recorded to answer.

use http::Request;
use http::request::Parts;

use super::answer::Answer;
use super::routes::answer;
use crate::commands::demo::keyring::{Account, Keyring, Role, Standing, Token};

/// A head and body as recorded, `Date` and the length aside.
struct Recorded {
    status: u16,
    fields: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const OWN: [(&str, &str); 3] =
    [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "deny"), ("X-Xss-Protection", "1; mode=block")];

const MIDDLEWARE: &[(&str, &str)] = &[
    ("Cache-Control", "no-store"),
    ("Content-Type", "application/json; charset=UTF-8"),
    OWN[0],
    OWN[1],
    OWN[2],
    ("Date", ""),
    ("Content-Length", ""),
];

const HANDLER: &[(&str, &str)] = &[
    ("Cache-Control", "no-store"),
    ("Content-Type", "application/json"),
    OWN[0],
    OWN[1],
    OWN[2],
    ("Date", ""),
    ("Content-Length", ""),
];

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Parts {
    let builder = Request::builder().method(method).uri(target);
    let builder = fields.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap().into_parts().0
}

fn bearer(token: &Token) -> String {
    format!("Bearer {}", token.expose())
}

fn assert_recorded(answer: &Answer, recorded: &Recorded) {
    let fields: Vec<(&str, &str)> = answer.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (recorded.status, recorded.body));
    assert_eq!(fields, recorded.fields);
}

/// Asks for `target` with a token of this account.
fn ask(account: Account, method: &str, target: &str) -> Answer {
    let mut keyring = Keyring::default();
    let token = keyring.issue(account).unwrap();
    answer(&keyring, &request(method, target, &[("authorization", &bearer(&token))]), "8318080755")
}

#[test]
fn refused_credentials_are_told_as_recorded() {
    let refusal = |body| Recorded { status: 401, fields: MIDDLEWARE, body };
    let unauthorised = "{\"extra\":null,\"message\":\"Unauthorized\",\"messageId\":\"auth.unauthorized\",\"statusCode\":401,\"traceID\":\"\"}\n";
    let invalid = "{\"extra\":null,\"message\":\"Invalid API key\",\"messageId\":\"api-key.invalid\",\"statusCode\":401,\"traceID\":\"\"}\n";
    let mut keyring = Keyring::default();
    let known = keyring.issue(Account::VIEWER).unwrap();
    let token = known.expose();
    let basic = |text: &str| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let failed = "{\"extra\":null,\"message\":\"Invalid username or password\",\"messageId\":\"password-auth.failed\",\"statusCode\":401,\"traceID\":\"\"}\n";
    let unknown = Token::mint().unwrap();
    for (line, body) in [
        (String::new(), unauthorised),
        ("Bearer".to_owned(), unauthorised),
        (token.to_owned(), unauthorised),
        (format!("bearer {token}"), unauthorised),
        (format!("Token {token}"), unauthorised),
        (format!("Bearer  {token}"), invalid),
        (format!("Bearer \"{token}\""), invalid),
        (format!("Bearer {token}%0A"), invalid),
        (format!("Bearer {token}x"), invalid),
        (bearer(&known.damaged()), invalid),
        (bearer(&unknown), "{\"message\":\"Unauthorized\",\"traceID\":\"\"}\n"),
        (basic(&format!("api_key:{}", unknown.expose())), failed),
        (basic(&format!("bearer:{token}")), failed),
    ] {
        let answer = answer(&keyring, &request("GET", "/api/org", &[("authorization", &line)]), "");
        assert_recorded(&answer, &refusal(body));
    }
    for (standing, body) in [
        (
            Standing::Expired,
            "{\"extra\":null,\"message\":\"Expired API key\",\"messageId\":\"api-key.expired\",\"statusCode\":401,\"traceID\":\"\"}\n",
        ),
        (
            Standing::Revoked,
            "{\"extra\":null,\"message\":\"Revoked API key\",\"messageId\":\"api-key.revoked\",\"statusCode\":401,\"traceID\":\"\"}\n",
        ),
        (
            Standing::Disabled,
            "{\"extra\":null,\"message\":\"Unauthorized\",\"messageId\":\"identity.disabled\",\"statusCode\":401,\"traceID\":\"\"}\n",
        ),
    ] {
        assert_recorded(&ask(Account::VIEWER.with(standing), "GET", "/api/org"), &refusal(body));
    }
}

#[test]
fn a_token_reaches_its_own_organisation_only() {
    let mut keyring = Keyring::default();
    let (first, second) =
        (keyring.issue(Account::VIEWER).unwrap(), keyring.issue(Account { org: 2, ..Account::VIEWER }).unwrap());
    let ask = |token: &Token, target: &str, org: &str| {
        answer(&keyring, &request("GET", target, &[("authorization", &bearer(token)), ("x-grafana-org-id", org)]), "")
    };
    let mismatch = Recorded {
        status: 401,
        fields: MIDDLEWARE,
        body: "{\"extra\":null,\"message\":\"API key does not belong to the requested organization\",\"messageId\":\"api-key.organization-mismatch\",\"statusCode\":401,\"traceID\":\"\"}\n",
    };
    for (target, org) in [("/api/org", "2"), ("/api/org", "999"), ("/api/org", "-1"), ("/api/org?targetOrgId=2", "")] {
        assert_recorded(&ask(&first, target, org), &mismatch);
    }
    for (token, org, own) in [(&first, "1", "{\"id\":1,"), (&first, "one", "{\"id\":1,"), (&second, "2", "{\"id\":2,")]
    {
        let answer = ask(token, "/api/org", org);
        assert!(answer.status == 200 && answer.body.starts_with(own), "{answer:?}");
    }
    let stranger = Recorded { status: 404, fields: MIDDLEWARE, body: "{\"message\":\"Not found\"}\n" };
    assert_recorded(&ask(&first, "/api/org?orgId=2", ""), &stranger);
}

#[test]
fn the_api_answers_as_recorded() {
    let ok = |fields, body| Recorded { status: 200, fields, body };
    let admin = Account { role: Role::Admin, ..Account::VIEWER };
    let main_org = "{\"id\":1,\"name\":\"Main Org.\",\"address\":{\"address1\":\"\",\"address2\":\"\",\"city\":\"\",\"zipCode\":\"\",\"state\":\"\",\"country\":\"\"}}";
    let health = "{\n  \"commit\": \"83b9528bce\",\n  \"database\": \"ok\",\n  \"version\": \"11.0.0\"\n}";
    assert_recorded(&ask(Account::VIEWER, "GET", "/api/org"), &ok(HANDLER, main_org));
    assert_recorded(&ask(Account::VIEWER, "GET", "/api/health"), &ok(MIDDLEWARE, health));
    assert_recorded(&ask(Account::VIEWER.with(Standing::Expired), "GET", "/api/health"), &ok(MIDDLEWARE, health));
    let forbidden = |fields, body| Recorded { status: 403, fields, body };
    let stats = "{\"accessErrorId\":\"ACE8318080755\",\"message\":\"You'll need additional permissions to perform this action. Permissions needed: server.stats:read\",\"title\":\"Access denied\"}\n";
    let write = "{\"accessErrorId\":\"ACE8318080755\",\"message\":\"You'll need additional permissions to perform this action. Permissions needed: orgs:write\",\"title\":\"Access denied\"}\n";
    assert_recorded(&ask(Account::VIEWER, "GET", "/api/admin/stats"), &forbidden(MIDDLEWARE, stats));
    assert_recorded(&ask(Account::VIEWER, "PUT", "/api/org"), &forbidden(MIDDLEWARE, write));
    assert_recorded(&ask(admin, "PUT", "/api/org"), &ok(HANDLER, "{\"message\":\"Organization updated\"}"));
    let users_only = "{\"message\":\"Endpoint only available for users\"}";
    assert_recorded(&ask(Account::VIEWER, "GET", "/api/user"), &forbidden(HANDLER, users_only));
    assert_recorded(&ask(Account::VIEWER, "POST", "/api/user/using/2"), &forbidden(HANDLER, users_only));
    let missing = "{\"message\":\"Dashboard not found\",\"traceID\":\"\"}";
    let missing = Recorded { status: 404, fields: HANDLER, body: missing };
    assert_recorded(&ask(Account::VIEWER, "GET", "/api/dashboards/uid/no-such"), &missing);
}

#[test]
fn datasources_answer_as_recorded() {
    let ask =
        |uid: &str| ask(Account::VIEWER, "GET", &format!("/api/datasources/proxy/uid/{uid}/api/v1/query?query=up"));
    let failed = Recorded {
        status: 400,
        fields: &[
            ("Content-Security-Policy", "sandbox"),
            ("Via", "0.0 grafana"),
            OWN[0],
            OWN[1],
            OWN[2],
            ("Date", ""),
            ("Content-Length", ""),
            ("Content-Type", "text/plain; charset=utf-8"),
        ],
        body: "Authentication to data source failed",
    };
    assert_recorded(&ask("up401"), &failed);
    let busy = Recorded {
        status: 429,
        fields: &[
            ("Content-Length", ""),
            ("Content-Security-Policy", "sandbox"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Date", ""),
            ("Retry-After", "30"),
            ("Via", "1.1 grafana"),
            OWN[0],
            OWN[1],
            OWN[2],
        ],
        body: "ingestion rate limit exceeded\n",
    };
    assert_recorded(&ask("up429"), &busy);
    let missing = Recorded {
        status: 404,
        fields: &MIDDLEWARE[1..],
        body: "{\"message\":\"Unable to find datasource\",\"traceID\":\"\"}\n",
    };
    assert_recorded(&ask("nope"), &missing);
}

#[test]
fn pages_send_strangers_to_the_login_page() {
    let ask = |target: &str| answer(&Keyring::default(), &request("GET", target, &[]), "");
    let redirect = |fields| Recorded { status: 302, fields, body: "<a href=\"/login\">Found</a>.\n\n" };
    const COOKIE: &str = "redirect_to=%2Fd%2Fopendash%2Fopen-dashboard%3ForgId%3D1; Path=/; HttpOnly; SameSite=Lax";
    const WITH_COOKIE: &[(&str, &str)] = &[
        ("Cache-Control", "no-store"),
        ("Content-Type", "text/html; charset=utf-8"),
        ("Location", "/login"),
        ("Set-Cookie", COOKIE),
        OWN[0],
        OWN[1],
        OWN[2],
        ("Date", ""),
        ("Content-Length", ""),
    ];
    assert_recorded(&ask("/d/opendash/open-dashboard?orgId=1"), &redirect(WITH_COOKIE));
    let home = ask("/");
    assert!(home.fields.iter().all(|(name, _)| *name != "Set-Cookie"), "{home:?}");
    assert_eq!(self::ask(Account::VIEWER, "GET", "/").status, 200);
    let key = self::ask(Account { is_legacy: true, ..Account::VIEWER }, "GET", "/");
    assert!(key.fields.contains(&("Location", "/".to_owned())), "{key:?}");
    assert_eq!(ask("/login").status, 200);
}

#[tokio::test]
async fn what_is_sent_is_spelt_as_recorded() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = super::start(Keyring::default()).await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream
        .write_all(
            b"GET /api/org HTTP/1.1\r\nHost: g\r\n\r\nGET /login HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n",
        )
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let names: Vec<&str> =
        text.split("\r\n\r\n").next().unwrap().lines().skip(1).map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, MIDDLEWARE.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert!(text.contains("HTTP/1.1 401 Unauthorized\r\n") && text.contains("Content-Length: 102\r\n"), "{text}");
    assert!(text.contains("Transfer-Encoding: chunked\r\n") && text.ends_with("0\r\n\r\n"), "{text}");
}
