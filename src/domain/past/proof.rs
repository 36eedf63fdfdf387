//! What a success proves about the credential that came with it.

use http::{Method, StatusCode};

/// What an answer that is no refusal says about the request's credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Grafana let somebody sign in: this credential, a cookie beside it, or, where that is on, the anonymous visitor.
    SignedIn,
    /// Nothing: such an answer is given to everybody, or says too little.
    Nothing,
}

/// Whether the endpoints under a path want somebody signed in, from Grafana 7 on; `local` is what follows `/api/`. A list
/// of what is open to everybody (`health`, `login/ping`, `snapshots/…`, `public/…`) would be wrong with the next version;
/// this one then misses an acceptance at most.
fn wants_sign_in(local: &[u8]) -> bool {
    // By the first letter: this runs for many requests, and most names are ruled out by it.
    let names: &[&[u8]] = match local.first() {
        Some(b'a') => &[b"annotations", b"admin", b"alertmanager", b"access-control"],
        Some(b'd') => &[b"dashboards", b"ds", b"datasources"],
        Some(b'f') => &[b"folders"],
        Some(b'l') => &[b"library-elements"],
        Some(b'o') => &[b"org", b"orgs"],
        Some(b'p') => &[b"prometheus", b"plugins", b"plugin-proxy", b"playlists"],
        Some(b'q') => &[b"query-history"],
        Some(b'r') => &[b"ruler"],
        Some(b's') => &[b"search", b"serviceaccounts"],
        Some(b't') => &[b"teams", b"tsdb"],
        Some(b'u') => &[b"users"],
        _ => return false,
    };
    let is = |name: &&[u8]| local.strip_prefix(*name).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')));
    names.iter().any(is)
}

/// The deepest sub-path that is looked behind: `/a/b/api/…`.
const DEPTH: usize = 3;

/// What follows `/api/`, at the beginning or behind a sub-path.
fn behind_api(mut path: &[u8]) -> Option<&[u8]> {
    for _ in 0..DEPTH {
        if let Some(local) = path.strip_prefix(b"/api/") {
            return Some(local);
        }
        // Segments are short: a plain loop ends before a vectorised search begins.
        let rest = path.get(1..)?;
        path = rest.get(rest.iter().position(|byte| *byte == b'/')?..)?;
    }
    None
}

impl Proof {
    /// Judges an exchange that ended without a refusal.
    pub fn of(method: &Method, status: StatusCode, path: &str) -> Self {
        // 304: the handler ran and compared. 207: a query of several parts, each of which may have failed.
        let success = matches!(status.as_u16(), 200..=206 | 208..=299 | 304);
        // A preflight (Fetch §3.2.2) is answered without a look at credentials, often by a hop.
        if !success || *method == Method::OPTIONS {
            return Self::Nothing;
        }
        let path = path.as_bytes();
        let wants = match behind_api(path) {
            Some(local) => wants_sign_in(local),
            // What belongs to an organisation (a namespace) is open to nobody else.
            None => path.starts_with(b"/apis/") && memchr::memmem::find(path, b"/namespaces/").is_some(),
        };
        if wants { Self::SignedIn } else { Self::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_wants_a_sign_in_proves_one() {
        let proof = |path| Proof::of(&Method::GET, StatusCode::OK, path);
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
        assert_eq!(Proof::of(&Method::OPTIONS, StatusCode::NO_CONTENT, "/api/org"), Proof::Nothing);
        assert_eq!(Proof::of(&Method::POST, StatusCode::NO_CONTENT, "/api/org"), Proof::SignedIn);
    }

    #[test]
    fn only_a_success_proves_anything() {
        for status in [200, 201, 204, 304] {
            assert_eq!(
                Proof::of(&Method::GET, StatusCode::from_u16(status).unwrap(), "/api/org"),
                Proof::SignedIn,
                "{status}"
            );
        }
        // A query of several parts may have failed in each; a redirect and an error may come from before the sign-in.
        for status in [101, 207, 301, 302, 400, 401, 403, 404, 412, 422, 500, 502] {
            assert_eq!(
                Proof::of(&Method::GET, StatusCode::from_u16(status).unwrap(), "/api/org"),
                Proof::Nothing,
                "{status}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_path_is_judged(path: String, status in 100u16..600) {
            let found = Proof::of(&Method::GET, StatusCode::from_u16(status).unwrap(), &path);
            prop_assert!(found == Proof::Nothing || path.contains("/api"));
        }
    }
}
