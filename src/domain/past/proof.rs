//! What a success proves about the credential that came with it.

use http::{Method, StatusCode};

use super::super::classify::passed_on;
use super::super::fields::Fields;

/// What an answer that is no refusal says about the request's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Grafana let somebody sign in: this credential, a cookie beside it, or, where that is on, the anonymous visitor.
    SignedIn,
    /// Grafana let somebody sign in who is not the anonymous visitor.
    KnownCaller,
    /// Nothing: such an answer is given to everybody, or says too little.
    Nothing,
}

/// Whether the endpoints under a path want somebody signed in, from Grafana 7 on; `local` is what follows `/api/`. A list
/// of what is open to everybody (`health`, `login/ping`, `snapshots/…`, `public/…`) would be wrong with the next version;
/// this one then misses an acceptance at most.
fn wants_sign_in(local: &[u8]) -> bool {
    // By the first letter, and by comparisons of known length: this runs for many requests.
    match local.first() {
        Some(b'a') => {
            is(local, b"annotations")
                || is(local, b"admin")
                || is(local, b"alertmanager")
                || is(local, b"access-control")
        }
        Some(b'd') => is(local, b"dashboards") || is(local, b"ds") || is(local, b"datasources"),
        Some(b'f') => is(local, b"folders"),
        Some(b'l') => is(local, b"library-elements"),
        Some(b'o') => is(local, b"org") || is(local, b"orgs"),
        Some(b'p') => {
            is(local, b"prometheus") || is(local, b"plugins") || is(local, b"plugin-proxy") || is(local, b"playlists")
        }
        Some(b'q') => is(local, b"query-history"),
        Some(b'r') => is(local, b"ruler"),
        Some(b's') => is(local, b"search") || is(local, b"serviceaccounts"),
        Some(b't') => is(local, b"teams") || is(local, b"tsdb"),
        Some(b'u') => {
            is(local, b"users")
                || [&b"user/orgs"[..], b"user/teams", b"user/stars", b"user/preferences"].contains(&local)
                || is_own_profile(local)
        }
        _ => false,
    }
}

/// `GET /api/user`, which answers the anonymous visitor 401 in every version.
fn is_own_profile(local: &[u8]) -> bool {
    local == b"user"
}

/// Whether Grafana made a response, or passed one on behind a sign-in: its API answers with JSON, a proxy that shows a
/// login page with HTML. What a cache answers was made for somebody else.
fn is_grafanas(headers: &Fields) -> bool {
    let is_json = headers
        .get("content-type")
        .is_none_or(|kind| kind.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/json")));
    (is_json || passed_on(headers)) && !headers.contains("age")
}

/// Whether a path begins with this segment.
fn is<const N: usize>(local: &[u8], segment: &[u8; N]) -> bool {
    let Some((first, rest)) = local.split_first_chunk::<N>() else { return false };
    first == segment && matches!(rest.first(), None | Some(b'/'))
}

/// The deepest sub-path that is looked behind: `/a/b/api/…`.
const DEPTH: usize = 3;

/// What follows `/api/`, at the beginning or behind a sub-path.
fn behind_api(mut path: &[u8]) -> Option<&[u8]> {
    for _ in 0..DEPTH {
        match path.split_first_chunk() {
            Some((b"/api/", local)) => return Some(local),
            // What is shorter holds no endpoint either.
            None => return None,
            Some((_, _)) => {}
        }
        // Segments are short: a plain loop ends before a vectorised search begins.
        let rest = path.get(1..)?;
        path = rest.get(rest.iter().position(|byte| *byte == b'/')?..)?;
    }
    None
}

impl Proof {
    /// Judges an exchange that ended without a refusal, by its request and the head of its response.
    pub fn of(method: &Method, status: StatusCode, path: &str, headers: &Fields) -> Self {
        // 304: the handler ran and compared. 207: a query of several parts, each of which may have failed.
        let success = matches!(status.as_u16(), 200..=206 | 208..=299 | 304);
        // A preflight (Fetch §3.2.2) is answered without a look at credentials, often by a hop.
        if !success || *method == Method::OPTIONS {
            return Self::Nothing;
        }
        Self::by_path(path, true).filter_by(headers)
    }

    /// What Grafana's refusal for want of a permission says: it refuses visitors with 401 wherever it wants a sign-in.
    pub fn of_missing_permission(path: &str, headers: &Fields) -> Self {
        Self::by_path(path, false).filter_by(headers)
    }

    /// What the success of a public dashboard's own path says about the access token in it.
    pub fn of_public_dashboard(headers: &Fields) -> Self {
        Self::KnownCaller.filter_by(headers)
    }

    fn by_path(path: &str, profile: bool) -> Self {
        let path = path.as_bytes();
        match behind_api(path) {
            Some(local) if profile && is_own_profile(local) => Self::KnownCaller,
            Some(local) if wants_sign_in(local) => Self::SignedIn,
            // What belongs to an organisation (a namespace) is open to nobody else.
            None if path.starts_with(b"/apis/") && memchr::memmem::find(path, b"/namespaces/").is_some() => {
                Self::SignedIn
            }
            _ => Self::Nothing,
        }
    }

    fn filter_by(self, headers: &Fields) -> Self {
        if self != Self::Nothing && is_grafanas(headers) { self } else { Self::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_wants_a_sign_in_proves_one() {
        let proof = |path| Proof::of(&Method::GET, StatusCode::OK, path, &Fields::default());
        for path in [
            "/api/org",
            "/api/dashboards/uid/x",
            "/grafana/api/search",
            "/api/ds/query",
            "/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists",
        ] {
            assert_eq!(proof(path), Proof::SignedIn, "{path}");
        }
        // Open to everybody, whatever the credential.
        for path in
            ["/api/health", "/api/login/ping", "/", "/login", "/public/x.js", "/metrics", "/api/snapshots/x", "/apis/"]
        {
            assert_eq!(proof(path), Proof::Nothing, "{path}");
        }
        for path in ["/api", "/api/", "/api/searches", "/api/orgx/search", "/d/uid/search", ""] {
            assert_eq!(proof(path), Proof::Nothing, "{path}");
        }
    }

    #[test]
    fn a_preflight_proves_nothing() {
        assert_eq!(Proof::of(&Method::OPTIONS, StatusCode::NO_CONTENT, "/api/org", &Fields::default()), Proof::Nothing);
        assert_eq!(Proof::of(&Method::POST, StatusCode::NO_CONTENT, "/api/org", &Fields::default()), Proof::SignedIn);
    }

    #[test]
    fn only_a_success_proves_anything() {
        for status in [200, 201, 204, 304] {
            assert_eq!(
                Proof::of(&Method::GET, StatusCode::from_u16(status).unwrap(), "/api/org", &Fields::default()),
                Proof::SignedIn,
                "{status}"
            );
        }
        // A query of several parts may have failed in each; a redirect and an error may come from before the sign-in.
        for status in [101, 207, 301, 302, 400, 401, 403, 404, 412, 422, 500, 502] {
            assert_eq!(
                Proof::of(&Method::GET, StatusCode::from_u16(status).unwrap(), "/api/org", &Fields::default()),
                Proof::Nothing,
                "{status}"
            );
        }
    }

    #[test]
    fn only_what_grafana_made_proves_anything() {
        let proof = |path: &str, lines: &[(&'static str, &'static str)]| {
            let headers = lines
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
            let fields = Fields::from(&headers.collect::<http::HeaderMap>());
            Proof::of(&Method::GET, StatusCode::OK, path, &fields)
        };
        assert_eq!(proof("/api/org", &[("content-type", "application/json; charset=UTF-8")]), Proof::SignedIn);
        assert_eq!(proof("/api/user", &[("content-type", "application/json")]), Proof::KnownCaller);
        assert_eq!(proof("/api/user/signup", &[]), Proof::Nothing, "anybody may sign up");
        assert_eq!(proof("/api/org", &[("content-type", "text/html; charset=utf-8")]), Proof::Nothing, "a login page");
        assert_eq!(proof("/api/org", &[("content-type", "application/json"), ("age", "3")]), Proof::Nothing, "a cache");
        let sandbox = [("content-type", "text/plain"), ("content-security-policy", "sandbox")];
        assert_eq!(proof("/api/datasources/proxy/1/x", &sandbox), Proof::SignedIn, "a data source's, passed on");
    }

    proptest! {
        #[test]
        fn any_path_is_judged(path: String, status in 100u16..600) {
            let found = Proof::of(&Method::GET, StatusCode::from_u16(status).unwrap(), &path, &Fields::default());
            prop_assert!(found == Proof::Nothing || path.contains("/api"));
        }
    }
}
