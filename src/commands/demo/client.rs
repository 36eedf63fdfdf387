//! A client that sends bytes as they are: the tour needs heads that no library would write.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are read, at most.
const MAX_ANSWER: u64 = 1024 * 1024;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// The status.
    pub status: u16,
    /// What stands behind it.
    pub phrase: String,
    /// The fields, as they came.
    pub fields: Vec<(String, String)>,
    /// The body, chunks and all.
    pub body: String,
}

impl Reply {
    /// The first field of this name.
    pub(super) fn field(&self, wanted: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    }

    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let (_, status) = lines.next()?.split_once(' ')?;
        let (status, phrase) = status.split_once(' ').unwrap_or((status, ""));
        let field = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Some(Self {
            status: status.parse().ok()?,
            phrase: phrase.to_owned(),
            fields: lines.filter_map(field).collect(),
            body: body.to_owned(),
        })
    }
}

/// Sends one request, which must ask for the end of the connection, and reads what comes until then.
pub(super) async fn send(address: SocketAddr, request: &[u8]) -> io::Result<Reply> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request).await?;
        let mut bytes = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut bytes).await?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| io::ErrorKind::TimedOut)??;
    Reply::parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let reply = Reply::parse("HTTP/1.1 404 Not Found\r\nX-A:  b: c \r\nx-a: d\r\n\r\nbody\r\n\r\nmore").unwrap();
        assert_eq!((reply.status, reply.phrase.as_str(), reply.body.as_str()), (404, "Not Found", "body\r\n\r\nmore"));
        assert_eq!((reply.field("x-A"), reply.field("b")), (Some("b: c"), None));
        assert_eq!(Reply::parse("HTTP/1.1 200\r\n\r\n").unwrap().status, 200);
        assert_eq!(Reply::parse("HTTP/1.1 200 OK\r\nno end"), None);
        assert_eq!(Reply::parse("HTTP/1.1 many\r\n\r\n"), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(text in "(HTTP/1.1 )?[0-9 \r\n:a-z]{0,40}(\r\n){0,2}\\PC{0,9}") {
            let _ = Reply::parse(&text);
        }
    }
}
