//! Two connections that agreed on another protocol: bytes both ways until both have ended.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;

/// Live sends small messages often and large ones rarely; this holds one of the latter without many calls.
const BUFFER: usize = 64 * 1024;

/// Joins the two ends once hyper hands them over. Ends when both have, or when the process drains.
pub(super) async fn join(client: OnUpgrade, grafana: OnUpgrade, drained: CancellationToken) {
    let Ok((client, grafana)) = tokio::try_join!(client, grafana) else { return };
    let (mut client, mut grafana) = (TokioIo::new(client), TokioIo::new(grafana));
    let copied = tokio::io::copy_bidirectional_with_sizes(&mut client, &mut grafana, BUFFER, BUFFER);
    tokio::select! {
        // How a tunnel ends is the business of its two ends.
        _ = copied => {}
        () = drained.cancelled() => {}
    }
}
