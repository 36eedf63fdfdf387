//! Which part of Grafana a path leads to.

/// A request's path, from `/api` on where that stands behind a sub-path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    /// The whole path.
    pub(super) path: &'a str,
    /// The path without what precedes `/api/` or `/apis/`.
    local: &'a str,
}

/// Endpoints that went away with API keys: 410 from 11.3 on, 404 from about 12.1 on.
const REMOVED: [&str; 3] = ["/api/auth/keys", "/api/serviceaccounts/migrate", "/api/serviceaccounts/hideApiKeys"];

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        // Without a sub-path, which is the rule, there is nothing to look for.
        if path.starts_with("/api/") || path.starts_with("/apis/") {
            return Self { path, local: path };
        }
        let local = ["/api/", "/apis/"].iter().filter_map(|mark| path.find(mark)).min();
        let local = local.and_then(|start| path.get(start..)).unwrap_or(path);
        Self { path, local }
    }

    /// Grafana answers with JSON here, and redirects everywhere else.
    pub(super) fn is_api(self) -> bool {
        self.local.starts_with("/api")
    }

    /// The Kubernetes-style API, and its neighbours outside of `/apis`.
    pub(super) fn is_apiserver(self) -> bool {
        self.local.starts_with("/apis")
            || ["/livez", "/readyz", "/version"].iter().any(|name| self.path.ends_with(name))
            || self.path.contains("/openapi/")
    }

    /// Grafana passes what a datasource or a plugin's backend answers on to the client.
    pub(super) fn passes_through(self) -> bool {
        let resources = |kind: &str| self.local.starts_with(kind) && self.local.contains("/resources");
        self.local.starts_with("/api/datasources/proxy/")
            || self.local.starts_with("/api/plugin-proxy/")
            || resources("/api/datasources/")
            || resources("/api/plugins/")
    }

    /// Queries, each with a result and a status of its own.
    pub(super) fn is_query(self) -> bool {
        self.local.starts_with("/api/ds/query")
            || self.local.starts_with("/api/tsdb/query")
            || self.local.starts_with("/apis/query.grafana.app/")
            || (self.local.starts_with("/apis/") && self.local.ends_with("/query"))
    }

    /// A datasource's health check.
    pub(super) fn is_health_check(self) -> bool {
        self.local.starts_with("/api/datasources/") && self.local.ends_with("/health")
            || self.local.starts_with("/apis/") && self.local.ends_with("/health")
    }

    /// Grafana's metrics, which have a user and a password of their own.
    pub(super) fn is_metrics(self) -> bool {
        self.path.ends_with("/metrics") || self.path.contains("/metrics/plugins/")
    }

    /// Where browsers report their logs: the one limiter in Grafana's server.
    pub(super) fn is_front_end_log(self) -> bool {
        self.path.ends_with("/log") || self.path.ends_with("/log-grafana-javascript-agent")
    }

    pub(super) fn is_live(self) -> bool {
        self.local.starts_with("/api/live/")
    }

    /// The organisations themselves: not what an organisation holds.
    pub(super) fn is_organisations(self) -> bool {
        self.local == "/api/orgs" || self.local.starts_with("/api/orgs/")
    }

    pub(super) fn was_removed(self) -> bool {
        REMOVED.iter().any(|prefix| self.local.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_path_does_not_hide_the_api() {
        assert!(Route::of("/grafana/api/datasources/proxy/uid/x/y").passes_through());
        assert!(Route::of("/grafana/api/ds/query").is_query());
        assert!(Route::of("/api/datasources/uid/x/resources/api/v1/labels").passes_through());
        assert!(Route::of("/a/apis/playlist.grafana.app/v0alpha1").is_apiserver());
        assert!(!Route::of("/d/uid/api-dashboard").is_api());
        assert!(!Route::of("/api/datasources/uid/x").passes_through());
        assert!(Route::of("/grafana/api/auth/keys/3").was_removed());
    }
}
