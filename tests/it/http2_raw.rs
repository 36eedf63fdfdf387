//! HTTP/2 that no library sends: malformed heads, broken frames, floods. Each ends within bounded work, reaches nobody,
//! and leaves other connections untouched.

use crate::support::frames::{Client, Frame, block, headers};
use crate::support::wire::connect;
use crate::support::{Origin, Program};

fn program(origin: &Origin) -> Program {
    Program::before(
        &origin.url(),
        &["--http-h2c", "on", "--limits-per-client-rate", "100000/s", "--limits-per-client-burst", "100000"],
    )
}

/// What became of a connection that sent something wrong: an answer that refuses, or an end. Never silence: reading has
/// a deadline, which fails the test.
fn is_refused(client: &mut Client, stream: u32) -> bool {
    let answer = client.answer(stream);
    answer.reset.is_some() || answer.status == 0 || (400..=505).contains(&answer.status)
}

/// Heads that are wrong in one place.
fn malformed_heads() -> Vec<Vec<(String, String)>> {
    let own = |fields: &[(&str, &str)]| -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let with = |name: &str, value: &str| own(&[&headers("/api/org")[..], &[(name, value)]].concat());
    let mut cases = Vec::new();
    // Bytes that no name may hold, at each place of it.
    for byte in ["\0", "\r", "\n", " ", "\t", "\u{7f}", "A", "(", ",", "/", ";", "@", "[", "{", "\"", "é", ":"] {
        for name in [format!("{byte}x-name"), format!("x-{byte}name"), format!("x-name{byte}")] {
            cases.push(with(&name, "value"));
        }
    }
    // Bytes that no value may hold, in fields that matter most.
    for byte in ["\0", "\r", "\n", "\r\nx-grafana-org-id: 7", "\u{1}", "\u{7f}"] {
        for name in ["x-name", "authorization", "x-grafana-org-id", "cookie", ":path", ":authority", ":method"] {
            for value in [format!("{byte}value"), format!("val{byte}ue"), format!("value{byte}")] {
                let mut fields = with("x-other", "1");
                let value = if name == ":path" { format!("/{value}") } else { value };
                match fields.iter_mut().find(|(found, _)| found == name) {
                    Some(field) => field.1 = value,
                    None => fields.push((name.to_owned(), value)),
                }
                cases.push(fields);
            }
        }
    }
    for (name, value) in [
        ("connection", "close"),
        ("connection", "authorization"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "chunked"),
        ("content-length", "1"),
        ("content-length", "-1"),
        ("content-length", "+0"),
        ("content-length", "0x0"),
        ("content-length", "1, 1"),
        ("content-length", "99999999999999999999"),
        ("content-length", ""),
        (":method", "GET"),
        (":path", "/other"),
        (":scheme", "http"),
        (":authority", "other"),
        (":status", "200"),
        (":unknown", "x"),
        ("", "x"),
        ("host", "other"),
        ("host", ""),
        ("host", "g, g"),
    ] {
        cases.push(with(name, value));
    }
    // Pseudo-fields that are missing, empty, or no such thing.
    for missing in [":method", ":scheme", ":path", ":authority"] {
        cases.push(own(&headers("/").into_iter().filter(|(name, _)| *name != missing).collect::<Vec<_>>()));
        // An empty scheme says as little as a wrong one, and nothing here rests on it.
        if missing != ":scheme" {
            cases.push(own(&headers("/").map(|(name, value)| (name, if name == missing { "" } else { value }))));
        }
    }
    for authority in ["a b", "a@g", "a:b@g", "g/", "g?x", "g#x", "g\\x", "g,h", "\u{e9}"] {
        cases
            .push(own(&headers("/").map(|(name, value)| (name, if name == ":authority" { authority } else { value }))));
    }
    for path in ["x", "*", "http://g/", "//", "/a b", "/a\tb", "?x"] {
        if path != "//" {
            cases.push(own(&headers(path)));
        }
    }
    for method in ["G ET", "GET ", " GET", "GET\t", "", "G(T", "TRACE", "CONNECT"] {
        cases.push(own(&headers("/").map(|(name, value)| (name, if name == ":method" { method } else { value }))));
    }
    // A pseudo-field behind an ordinary one.
    for name in [":method", ":scheme", ":path", ":authority"] {
        let (last, rest): (Vec<_>, Vec<_>) = headers("/").into_iter().partition(|(found, _)| *found == name);
        cases.push(own(&[&rest[..], &[("x-name", "value")], &last[..]].concat()));
    }
    cases
}

/// h2 closes the connection by itself; what was wrong stands in the log all the same.
#[test]
fn a_line_break_in_the_credential_is_told_over_http2_too() {
    let origin = Origin::ok();
    let program = program(&origin);
    let mut client = Client::connect(program.data);
    let fields: Vec<_> = [&headers("/api/org")[..], &[("authorization", "Bearer a\nb")]].concat();
    let stream = client.send(&fields, true);
    assert!(is_refused(&mut client, stream));
    let line = program.wait_for_line(|line| line["reason"] == "head_malformed");
    assert!(line["detail"].as_str().unwrap().contains("HTTP/2") && line["source"] == "client", "{line}");
    assert!(line["hint"].as_str().unwrap().contains("line break in the credential"), "{line}");
    assert_eq!(origin.count(), 0);
}

#[test]
fn malformed_heads_reach_nobody() {
    let origin = Origin::ok();
    let program = program(&origin);
    let cases = malformed_heads();
    let mut passed = Vec::new();
    for fields in &cases {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let mut client = Client::connect(program.data);
        let stream = client.send(&fields, true);
        if !is_refused(&mut client, stream) {
            passed.push(format!("{fields:?} -> {:?}", origin.last().lines));
        }
    }
    println!("{} heads, {} passed", cases.len(), passed.len());
    assert!(cases.len() >= 200, "{}", cases.len());
    assert!(passed.is_empty(), "{}", passed.join("\n"));
    assert_eq!(origin.count(), 0);
    assert_eq!(Client::connect(program.data).ask(&headers("/")).status, 200);
}

/// Frames that are wrong, behind a sound beginning.
fn broken_frames() -> Vec<(&'static str, Vec<Frame>)> {
    let head = |flags, stream| Frame::new(Frame::HEADERS, flags, stream, block(&headers("/")));
    let whole = Frame::END_HEADERS | Frame::END_STREAM;
    let (priority, push) = (2, 5);
    vec![
        ("DATA on stream 0", vec![Frame::new(Frame::DATA, 0, 0, "x")]),
        ("DATA on an idle stream", vec![Frame::new(Frame::DATA, 0, 5, "x")]),
        ("HEADERS on stream 0", vec![head(whole, 0)]),
        ("HEADERS on an even stream", vec![head(whole, 2)]),
        ("a lower stream than before", vec![head(Frame::END_HEADERS, 5), head(whole, 3)]),
        ("HEADERS again without an end", vec![head(Frame::END_HEADERS, 1), head(Frame::END_HEADERS, 1)]),
        ("DATA behind the end", vec![head(whole, 1), Frame::new(Frame::DATA, 0, 1, "x")]),
        ("CONTINUATION without HEADERS", vec![Frame::new(Frame::CONTINUATION, 4, 1, "")]),
        ("another frame before the end of the head", vec![head(0, 1), Frame::new(Frame::PING, 0, 0, [0; 8])]),
        ("another stream before the end of the head", vec![head(0, 1), head(whole, 3)]),
        ("a frame too large", vec![Frame::new(Frame::DATA, 0, 1, vec![0; 16_385])]),
        ("HEADERS too large", vec![Frame::new(Frame::HEADERS, 0, 1, vec![0; 16_385])]),
        ("SETTINGS of a wrong length", vec![Frame::new(Frame::SETTINGS, 0, 0, [0; 5])]),
        ("SETTINGS on a stream", vec![Frame::new(Frame::SETTINGS, 0, 1, [])]),
        ("SETTINGS acknowledged with a payload", vec![Frame::new(Frame::SETTINGS, 1, 0, [0; 6])]),
        ("a window beyond 2^31", vec![Frame::new(Frame::SETTINGS, 0, 0, [0, 4, 0xff, 0xff, 0xff, 0xff])]),
        ("a frame size below 2^14", vec![Frame::new(Frame::SETTINGS, 0, 0, [0, 5, 0, 0, 0, 1])]),
        ("ENABLE_PUSH of 2", vec![Frame::new(Frame::SETTINGS, 0, 0, [0, 2, 0, 0, 0, 2])]),
        ("PING of a wrong length", vec![Frame::new(Frame::PING, 0, 0, [0; 7])]),
        ("PING on a stream", vec![Frame::new(Frame::PING, 0, 1, [0; 8])]),
        ("GOAWAY on a stream", vec![Frame::new(Frame::GOAWAY, 0, 1, [0; 8])]),
        ("GOAWAY of a wrong length", vec![Frame::new(Frame::GOAWAY, 0, 0, [0; 3])]),
        ("WINDOW_UPDATE of zero", vec![Frame::new(Frame::WINDOW_UPDATE, 0, 0, [0; 4])]),
        ("WINDOW_UPDATE of a wrong length", vec![Frame::new(Frame::WINDOW_UPDATE, 0, 0, [0; 3])]),
        ("a connection window beyond 2^31", vec![Frame::new(Frame::WINDOW_UPDATE, 0, 0, [0x7f, 0xff, 0xff, 0xff])]),
        ("RST_STREAM on stream 0", vec![Frame::new(Frame::RST_STREAM, 0, 0, [0; 4])]),
        ("RST_STREAM of an idle stream", vec![Frame::new(Frame::RST_STREAM, 0, 7, [0; 4])]),
        (
            "RST_STREAM of a wrong length",
            vec![head(Frame::END_HEADERS, 1), Frame::new(Frame::RST_STREAM, 0, 1, [0; 3])],
        ),
        ("PUSH_PROMISE of a client", vec![Frame::new(push, 4, 1, [0, 0, 0, 2])]),
        ("PRIORITY of a wrong length", vec![Frame::new(priority, 0, 1, [0; 4])]),
        ("padding longer than the frame", vec![Frame::new(Frame::HEADERS, whole | 8, 1, [200, 0, 0])]),
        ("an index that is not there", vec![Frame::new(Frame::HEADERS, whole, 1, [0xff, 0xff, 0xff, 0x7f])]),
        ("index zero", vec![Frame::new(Frame::HEADERS, whole, 1, [0x80])]),
        ("a table larger than allowed", vec![Frame::new(Frame::HEADERS, whole, 1, [0x3f, 0xe1, 0xff, 0x7f])]),
        ("a literal that breaks off", vec![Frame::new(Frame::HEADERS, whole, 1, [0, 5, b'a'])]),
        ("Huffman that ends wrongly", vec![Frame::new(Frame::HEADERS, whole, 1, [0, 1, b'a', 0x81, 0xfe])]),
        ("an integer without an end", vec![Frame::new(Frame::HEADERS, whole, 1, vec![0xff; 30])]),
    ]
}

#[test]
fn broken_frames_end_the_connection_and_nothing_else() {
    let origin = Origin::new(|_, _| false);
    let program = program(&origin);
    let cases = broken_frames();
    for (name, frames) in &cases {
        let mut client = Client::connect(program.data);
        for frame in frames {
            client.write(frame);
        }
        // However small the fault: the end is told, by a reset of the stream or the end of the connection.
        let ended = loop {
            match client.read() {
                None => break true,
                Some(frame) if matches!(frame.kind, Frame::GOAWAY | Frame::RST_STREAM) => break true,
                Some(frame) if frame.kind == Frame::HEADERS => break false,
                Some(_) => {}
            }
        };
        // A head that was whole and sound may have been served before the fault came.
        let served = frames
            .first()
            .is_some_and(|frame| frame.kind == Frame::HEADERS && frame.flags & 5 == 5 && frame.stream == 1);
        assert!(ended || served, "{name}");
    }
    println!("{} broken frames", cases.len());
    // A frame of an unknown kind is none of them (RFC 9113 §5.5).
    let origin = Origin::ok();
    let program = self::program(&origin);
    let mut client = Client::connect(program.data);
    client.write(&Frame::new(0xee, 0xff, 9, "whatever"));
    assert_eq!(client.ask(&headers("/")).status, 200);
}

#[test]
fn a_wrong_preface_is_no_http2() {
    use std::io::{Read as _, Write as _};
    let origin = Origin::ok();
    let program = program(&origin);
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..],
        b"PRI * HTTP/1.1\r\nHost: g\r\n\r\n",
        b"PRIX / HTTP/1.1\r\nHost: g\r\n\r\n",
    ] {
        let mut stream = connect(program.data);
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert_eq!(origin.count(), 0);
}

/// Writes frames until the other side has had enough; how many it took.
fn flood(client: &mut Client, most: usize, mut frame: impl FnMut(usize) -> Vec<Frame>) -> usize {
    for number in 0..most {
        let bytes: Vec<u8> = frame(number).iter().flat_map(Frame::bytes).collect();
        if std::io::Write::write_all(&mut client.stream, &bytes).is_err() {
            return number;
        }
    }
    most
}

/// What a flood must not do: reach Grafana more often than the limits of streams allow, or take the others' service.
#[test]
fn floods_end_within_bounded_work() {
    let origin = Origin::ok();
    let program = program(&origin);
    let whole = Frame::END_HEADERS | Frame::END_STREAM;
    let head = block(&headers("/"));
    let stream = |number: usize| u32::try_from(number * 2 + 1).unwrap();
    // Rapid reset: begun and taken back.
    let mut client = Client::connect(program.data);
    flood(&mut client, 20_000, |number| {
        vec![
            Frame::new(Frame::HEADERS, whole, stream(number), head.clone()),
            Frame::new(Frame::RST_STREAM, 0, stream(number), [0, 0, 0, 8]),
        ]
    });
    assert!(client.until_closed().is_some_and(|code| code != 0), "rapid reset");
    // MadeYouReset: begun, then made wrong so that we reset it.
    let mut client = Client::connect(program.data);
    flood(&mut client, 20_000, |number| {
        vec![
            Frame::new(Frame::HEADERS, Frame::END_HEADERS, stream(number), head.clone()),
            Frame::new(Frame::WINDOW_UPDATE, 0, stream(number), [0; 4]),
        ]
    });
    assert!(client.until_closed().is_some_and(|code| code != 0), "made you reset");
    // A head that never ends, in small pieces.
    let mut client = Client::connect(program.data);
    client.write(&Frame::new(Frame::HEADERS, Frame::END_STREAM, 1, head.clone()));
    flood(&mut client, 100_000, |_| vec![Frame::new(Frame::CONTINUATION, 0, 1, block(&[("a", "b")]))]);
    assert!(client.until_closed().is_none_or(|code| code != 0), "continuation");
    // The same without a byte in it.
    let mut client = Client::connect(program.data);
    client.write(&Frame::new(Frame::HEADERS, Frame::END_STREAM, 1, head.clone()));
    flood(&mut client, 100_000, |_| vec![Frame::new(Frame::CONTINUATION, 0, 1, [])]);
    assert!(client.until_closed().is_none_or(|code| code != 0), "empty continuation");
    // A bomb: one entry of the table, named again and again.
    let mut client = Client::connect(program.data);
    let mut bomb = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    bomb.extend([b'x'; 4000]);
    bomb.extend([0xbe; 12_000]);
    client.write(&Frame::new(Frame::HEADERS, whole, 1, [head.clone(), bomb].concat()));
    assert!(is_refused(&mut client, 1), "a bomb was served");
    assert_eq!(Client::connect(program.data).ask(&headers("/")).status, 200);
    let through = origin.count();
    assert!(through < 1000, "{through} of the floods reached Grafana");
    // What costs an answer each: they are answered no faster than they are read, and nobody else waits.
    for (name, frame) in [
        ("PING", Frame::new(Frame::PING, 0, 0, [0; 8])),
        ("SETTINGS", Frame::new(Frame::SETTINGS, 0, 0, [])),
        ("empty DATA", Frame::new(Frame::DATA, 0, 1, [])),
    ] {
        let mut client = Client::connect(program.data);
        client.stream.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        client.write(&Frame::new(Frame::HEADERS, Frame::END_HEADERS, 1, head.clone()));
        let taken = flood(&mut client, 200_000, |_| vec![frame.clone()]);
        assert_eq!(Client::connect(program.data).ask(&headers("/")).status, 200, "{name}, {taken} taken");
    }
    let resident = program.metric("process_resident_memory_bytes").unwrap();
    assert!(resident < 120e6, "{resident} bytes after the floods");
}
