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

/// First segments behind `/api/` whose endpoints all want somebody signed in, from Grafana 7 on. A list of what is open
/// to everybody (`health`, `login/ping`, `snapshots/…`, `public/…`) would be wrong with the next version; this one
/// then misses an acceptance at most.
fn wants_sign_in(segment: &[u8]) -> bool {
    matches!(
        segment,
        b"ds"
            | b"org"
            | b"orgs"
            | b"tsdb"
            | b"admin"
            | b"ruler"
            | b"teams"
            | b"users"
            | b"search"
            | b"folders"
            | b"plugins"
            | b"playlists"
            | b"dashboards"
            | b"prometheus"
            | b"annotations"
            | b"datasources"
            | b"alertmanager"
            | b"plugin-proxy"
            | b"query-history"
            | b"access-control"
            | b"serviceaccounts"
            | b"library-elements"
    )
}

impl Proof {
    /// Judges an exchange. Called for every answer that is no refusal.
    pub fn of(method: &Method, status: StatusCode, path: &str) -> Self {
        // 304: the handler ran and compared.
        let success = status.is_success() || status == StatusCode::NOT_MODIFIED;
        // A preflight (Fetch §3.2.2) is answered without a look at credentials, often by a hop.
        if !success || status == StatusCode::MULTI_STATUS || *method == Method::OPTIONS {
            return Self::Nothing;
        }
        let path = path.as_bytes();
        let Some(local) = path.strip_prefix(b"/api/").or_else(|| elsewhere(path)) else {
            return Self::of_kubernetes(path);
        };
        let end = local.iter().position(|byte| *byte == b'/').unwrap_or(local.len());
        if wants_sign_in(local.get(..end).unwrap_or(local)) { Self::SignedIn } else { Self::Nothing }
    }

    /// What belongs to an organisation (a namespace) under `/apis/` is open to nobody else.
    fn of_kubernetes(path: &[u8]) -> Self {
        let namespaced = path.starts_with(b"/apis/") && memchr::memmem::find(path, b"/namespaces/").is_some();
        if namespaced { Self::SignedIn } else { Self::Nothing }
    }
}

/// The API behind a sub-path: rare, so a search does not hurt.
fn elsewhere(path: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find(path, b"/api/").and_then(|start| path.get(start + 5..))
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
