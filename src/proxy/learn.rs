//! `org.learn`: asks Grafana once which organisation an accepted token belongs to. Nobody waits for it.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::Proxy;
use super::gate::Judged;
use super::peek::peek;
use crate::body::RequestBody;
use crate::domain::org::OrgMode;
use crate::domain::token::BucketKey;
use crate::progress::Progress;
use crate::upstream::{Outward, Upstream};

/// For the whole of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longer answers are not about an organisation.
#[derive(serde::Deserialize)]
struct Organisation {
    id: u32,
}

impl Proxy {
    /// Whether Grafana is to be asked about a token, should it accept it: nobody has named an organisation, and none is known.
    pub(super) fn wants_organisation(&self, key: BucketKey) -> bool {
        self.policy.org.learn
            && self.policy.org.mode != OrgMode::Off
            && self.recorder.memory().organisation(key).is_none()
    }

    /// Grafana has accepted a token without being told an organisation.
    pub(super) fn learn(&self, judged: &Judged) {
        let Some((key, line)) = judged.key.zip(judged.line.clone()) else { return };
        if judged.facts.org.sent.is_some() || judged.facts.auth.token.is_none() || !self.wants_organisation(key) {
            return;
        }
        if !self.recorder.memory().is_organisation_due(key) {
            return;
        }
        let mut head = format!("GET {}/api/org HTTP/1.1\r\nhost: ", sub_path(judged.facts.uri.path())).into_bytes();
        head.extend_from_slice(judged.facts.host.as_deref().unwrap_or(self.upstream.authority().as_bytes()));
        head.extend_from_slice(b"\r\n");
        head.extend_from_slice(line.reveal());
        let agent = concat!("user-agent: grafana-token-proxy/", env!("CARGO_PKG_VERSION"), "\r\n\r\n");
        head.extend_from_slice(agent.as_bytes());
        let (upstream, recorder) = (Arc::clone(&self.upstream), self.recorder.clone());
        tokio::spawn(async move {
            if let Ok(Some(organisation)) = tokio::time::timeout(PATIENCE, ask(&upstream, head)).await {
                recorder.memory().learn_organisation(key, organisation);
            }
        });
    }
}

async fn ask(upstream: &Upstream, head: Vec<u8>) -> Option<u32> {
    let request = Outward { method: Method::GET, head, body: RequestBody::Empty };
    let (head, body) = upstream.send(request, Instant::now(), &Progress::default()).await.ok()?;
    if head.status != StatusCode::OK {
        return None;
    }
    let (seen, _) = peek(body, &head.fields).await;
    serde_json::from_slice::<Organisation>(&seen).ok().map(|organisation| organisation.id)
}

/// What stands before Grafana's own path, where it is served below one.
pub(super) fn sub_path(path: &str) -> &str {
    path.find("/api/").or_else(|| path.find("/apis/")).and_then(|at| path.get(..at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::sub_path;

    #[test]
    fn grafana_may_be_served_below_a_path() {
        for (path, prefix) in
            [("/api/search", ""), ("/grafana/api/search", "/grafana"), ("/a/b/apis/x/namespaces/y", "/a/b"), ("/x", "")]
        {
            assert_eq!(sub_path(path), prefix, "{path}");
        }
    }
}
