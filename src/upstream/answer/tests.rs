use proptest::prelude::*;

use http::HeaderMap;

use super::*;

fn read(text: &str) -> Result<Option<Head>, Malformed> {
    read_to(text.as_bytes(), false)
}

fn read_to(bytes: &[u8], to_head: bool) -> Result<Option<Head>, Malformed> {
    take(&mut BytesMut::from(bytes), to_head)
}

fn head(lines: &str) -> Head {
    read(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")).unwrap().unwrap()
}

#[test]
fn fields_come_out_as_they_went_in_and_the_body_stays() {
    let mut buffer = BytesMut::from(
        "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: a=1\r\nX-A:  \u{e9} b\t\r\nset-cookie: b\r\nContent-Length: 3\r\n\r\nabc",
    );
    let head = take(&mut buffer, false).unwrap().unwrap();
    assert_eq!(
        (head.status, head.version, head.framing),
        (StatusCode::UNAUTHORIZED, Version::HTTP_11, Framing::Sized(3))
    );
    assert_eq!(head.fields.get_all("set-cookie").collect::<Vec<_>>(), [&b"a=1"[..], b"b"]);
    assert_eq!(head.fields.get("x-a").unwrap(), "\u{e9} b".as_bytes());
    assert_eq!(&buffer[..], b"abc");
    assert!(head.keep_alive);
}

#[test]
fn a_head_that_is_not_complete_yet_is_waited_for() {
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for end in 0..whole.len() {
        assert!(read_to(&whole.as_bytes()[..end], false).unwrap().is_none(), "{end}");
    }
    assert!(read(whole).unwrap().is_some());
}

#[test]
fn the_framing_follows_status_and_fields() {
    let cases = [
        ("HTTP/1.1 200 OK\r\n\r\n", false, Framing::UntilClose, false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, Framing::Empty, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, Framing::Chunked, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", true, Framing::Empty, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, Framing::Empty, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, Framing::Empty, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", false, Framing::Empty, false),
        ("HTTP/1.1 100 Continue\r\n\r\n", false, Framing::Empty, true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", false, Framing::Sized(2), false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n", false, Framing::Sized(2), true),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\n", false, Framing::Sized(2), false),
        // Both framings: the coding counts, and the connection is not used again.
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", false, Framing::Chunked, false),
        ("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", false, Framing::Sized(1), true),
    ];
    for (text, to_head, framing, keep_alive) in cases {
        let head = read_to(text.as_bytes(), to_head).unwrap().unwrap();
        assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{text}");
    }
}

#[test]
fn what_parsers_disagree_about_is_no_answer() {
    for text in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n",
        "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert!(read(text).is_err(), "{text:?}");
    }
    let many = "A: b\r\n".repeat(MAX_LINES + 1);
    assert!(read(&format!("HTTP/1.1 200 OK\r\n{many}\r\n")).is_err());
    assert_eq!(head(&"A: b\r\n".repeat(MAX_LINES)).fields.len(), MAX_LINES);
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "b".repeat(MAX_HEAD));
    assert!(read(&endless).is_err());
}

/// What hyper's client makes of the same bytes: status, fields, whether it takes them at all.
async fn hyper_reads(bytes: &[u8]) -> Option<(StatusCode, HeaderMap)> {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (ours, mut theirs) = tokio::io::duplex(256 * 1024);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
    let request = http::Request::get("/").body(String::new()).unwrap();
    let server = async {
        let _ = theirs.read(&mut [0; 256]).await;
        let _ = theirs.write_all(bytes).await;
        drop(theirs);
    };
    let exchange = async { tokio::join!(sender.send_request(request), server).0 };
    let answer = tokio::select! {
        answer = exchange => answer,
        // The connection ends after the exchange on it, or is driven by this line until then.
        () = async { let _ = connection.await; std::future::pending::<()>().await } => return None,
    };
    let (head, _) = answer.ok()?.into_parts();
    Some((head.status, head.headers))
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => Just("Content-Length: 3".to_owned()),
        1 => Just("Transfer-Encoding: chunked".to_owned()),
        1 => Just("Connection: close".to_owned()),
        1 => Just("Content-Length: 03".to_owned()),
        6 => "[A-Za-z][A-Za-z-]{0,11}: ?[!-~]{0,20}",
        1 => "[ -~]{0,20}",
    ]
}

proptest! {
    /// We are stricter than hyper, never more lenient, and read the same where both take it.
    #[test]
    fn hyper_reads_the_same_from_whatever_we_take(
        status in prop_oneof!["200 OK", "401 Unauthorized", "304 x", "204", "[2-5][0-9]{2} [ -~]{0,8}"],
        lines in prop::collection::vec(line(), 0..6), end in prop_oneof![9 => Just("\r\n"), 1 => Just("\n")],
    ) {
        let text = format!("HTTP/1.1 {status}{end}{}{end}", lines.iter().map(|line| format!("{line}{end}")).collect::<String>());
        let ours = read(&text);
        if let Ok(Some(head)) = ours && !head.status.is_informational() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let theirs = runtime.block_on(hyper_reads(text.as_bytes()));
            prop_assert_eq!(Some((head.status, head.fields.to_map())), theirs, "{}", text);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), to_head: bool) {
        let _ = read_to(&bytes, to_head);
        let _ = read_to(&[b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat(), to_head);
    }
}
