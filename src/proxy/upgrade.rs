//! Two connections that agreed on another protocol: bytes both ways until both have ended.

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional_with_sizes};
use tokio_util::sync::CancellationToken;

use crate::stream::Stream;

/// Live sends small messages often and large ones rarely; this holds one of the latter without many calls.
const BUFFER: usize = 64 * 1024;

/// Joins the two ends once hyper hands the client's over; `first` is what Grafana has said already. Ends when both have,
/// or when the process drains.
pub(super) async fn join(client: OnUpgrade, mut grafana: Stream, first: Bytes, drained: CancellationToken) {
    let tunnel = async {
        let Ok(client) = client.await else { return };
        let mut client = TokioIo::new(client);
        // How a tunnel ends is the business of its two ends.
        if client.write_all(&first).await.is_ok() {
            let _ = copy_bidirectional_with_sizes(&mut client, &mut grafana, BUFFER, BUFFER).await;
        }
    };
    let _ = drained.run_until_cancelled(tunnel).await;
}
