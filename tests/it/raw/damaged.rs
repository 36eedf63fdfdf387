//! What is refused: each table times the places where its damage can stand.

use super::Case;
use crate::support::TOKEN;

const MALFORMED: &[&str] = &["head_malformed"];
const NEWLINE: &[&str] = &["newline_in_head"];
const TOO_LARGE: &[&str] = &["head_too_large"];
const BODY: &[&str] = &["body_malformed"];

pub(super) fn cases() -> Vec<Case> {
    let tables: [fn(&mut Vec<Case>); 8] = [lengths, codings, both, fields, newlines, request_lines, hosts, sizes];
    let mut cases = Vec::new();
    for table in tables {
        table(&mut cases);
    }
    chunks(&mut cases);
    cases
}

/// A head with these lines before `Host`, or behind it and a credential.
fn places(method: &str, lines: &str) -> [(&'static str, Vec<u8>); 2] {
    [
        ("first", format!("{method} /api/org HTTP/1.1\r\n{lines}\r\nHost: g\r\n\r\n").into_bytes()),
        (
            "last",
            format!(
                "{method} /api/org HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {TOKEN}\r\nX-A: b\r\n{lines}\r\n\r\n"
            )
            .into_bytes(),
        ),
    ]
}

fn lengths(cases: &mut Vec<Case>) {
    let values = [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5h",
        "5 5",
        "5\t5",
        "5,5",
        "5, 5",
        "5,6",
        ",5",
        "5,",
        "",
        " ",
        "\t",
        "5.0",
        "1e1",
        "_5",
        "\"5\"",
        "'5'",
        "five",
        "\u{665}",
        "\u{a0}5",
        "5;",
        "999999999999999999999999",
        "18446744073709551616",
        "9223372036854775808",
        "0000000000000000005",
    ];
    for value in values {
        for name in ["Content-Length", "content-length"] {
            for (place, bytes) in places("POST", &format!("{name}: {value}")) {
                cases.push(Case::closed(format!("{name}: {value:?}, {place}"), bytes, &[400], MALFORMED));
            }
        }
    }
    for (one, other) in [("5", "5"), ("5", "6"), ("0", "0"), ("0", "5"), ("5", ""), ("", "5")] {
        for between in ["", "X-B: c\r\n"] {
            let lines = format!("Content-Length: {one}\r\n{between}content-length: {other}");
            for (place, bytes) in places("POST", &lines) {
                cases.push(Case::closed(format!("{lines:?}, {place}"), bytes, &[400], MALFORMED));
            }
        }
    }
}

fn codings(cases: &mut Vec<Case>) {
    let values = [
        ",chunked",
        "chunked,",
        ", ,chunked",
        "chunked, chunked",
        "chunked,chunked",
        "gzip, chunked",
        "chunked, gzip",
        "gzip,chunked",
        "identity",
        "identity, chunked",
        "chunked, identity",
        "gzip",
        "deflate",
        "compress",
        "xchunked",
        "chunkedx",
        "x-chunked",
        "chunk",
        "chu nked",
        "c h u n k e d",
        "\"chunked\"",
        "'chunked'",
        "chunked;q=1",
        "chunked;",
        ";chunked",
        "chunked\u{a0}",
        "\u{a0}chunked",
        "chun\u{212a}ed",
        "cow",
        "trailers",
        "",
        " ",
    ];
    for value in values {
        for name in ["Transfer-Encoding", "TRANSFER-encoding"] {
            for (place, bytes) in places("POST", &format!("{name}: {value}")) {
                cases.push(Case::closed(format!("{name}: {value:?}, {place}"), bytes, &[400, 501], MALFORMED));
            }
        }
    }
    for (one, other) in
        [("chunked", "chunked"), ("gzip", "chunked"), ("chunked", "gzip"), ("chunked", "identity"), ("chunked", "")]
    {
        for (place, bytes) in places("POST", &format!("Transfer-Encoding: {one}\r\ntransfer-encoding: {other}")) {
            cases.push(Case::closed(format!("codings {one:?} and {other:?}, {place}"), bytes, &[400, 501], MALFORMED));
        }
    }
    for method in ["GET", "POST", "PUT"] {
        let bytes = format!("{method} /x HTTP/1.0\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
        cases.push(Case::closed(format!("chunked {method} in HTTP/1.0"), bytes, &[400, 501], MALFORMED));
    }
}

fn both(cases: &mut Vec<Case>) {
    for method in ["GET", "POST", "PUT", "OPTIONS"] {
        for length in ["0", "5", "100"] {
            for coding in ["chunked", "Chunked", "identity"] {
                let (sized, coded) = (format!("Content-Length: {length}"), format!("Transfer-Encoding: {coding}"));
                for lines in [format!("{sized}\r\n{coded}"), format!("{coded}\r\nX-B: c\r\n{sized}")] {
                    let [_, (_, mut bytes)] = places(method, &lines);
                    bytes.extend_from_slice(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: g\r\n\r\n");
                    cases.push(Case::closed(format!("{method} {lines:?}"), bytes, &[400, 501], MALFORMED));
                }
            }
        }
    }
}

/// Control bytes that have no other meaning in a head.
fn controls() -> impl Iterator<Item = u8> {
    (0..0x20).chain([0x7f]).filter(|byte| !b"\t\r\n".contains(byte))
}

fn fields(cases: &mut Vec<Case>) {
    let sound = "GET /api/org HTTP/1.1\r\nHost: g\r\nX-A: b\r\n";
    for byte in controls() {
        for (place, before, after) in [
            ("name", "X-", "Y: z"),
            ("end of a name", "X-Y", ": z"),
            ("value", "X-Y: a", "b"),
            ("start", "", "X-Y: z"),
            ("end", "X-Y: z", ""),
        ] {
            let bytes = [sound.as_bytes(), before.as_bytes(), &[byte], after.as_bytes(), b"\r\n\r\n"].concat();
            cases.push(Case::closed(format!("{byte:#04x} in the {place}"), bytes, &[400], MALFORMED));
        }
        for field in
            ["Authorization: Bearer glsa_", "Host: ", "Content-Length: ", "Transfer-Encoding: ", "Connection: "]
        {
            let bytes = [b"POST / HTTP/1.1\r\n", field.as_bytes(), &[byte], b"5\r\nX-B: c\r\n\r\n"].concat();
            cases.push(Case::closed(format!("{byte:#04x} in {field}"), bytes, &[400], MALFORMED));
        }
    }
    for byte in b"()<>@,;\\\"/[]?={} \t\x80\xff" {
        for name in [&[b'X', *byte, b'Y'][..], &[*byte, b'X'], &[b'X', *byte]] {
            let bytes = [sound.as_bytes(), name, b": z\r\n\r\n"].concat();
            cases.push(Case::closed(format!("name {:?}", String::from_utf8_lossy(name)), bytes, &[400], MALFORMED));
        }
    }
    for name in ["Host", "Content-Length", "Transfer-Encoding", "Authorization", "X-Grafana-Org-Id", "X-Y"] {
        for damage in [" :", "\t:", "  :", " \t :", ""] {
            let value = if name == "Host" { "g" } else { "5" };
            let lines = format!("{name}{damage} {value}");
            for (place, bytes) in places("POST", &lines) {
                // A line without a colon right behind a credential is taken for its rest: here, `X-A` is between.
                cases.push(Case::closed(format!("{lines:?}, {place}"), bytes, &[400], MALFORMED));
            }
        }
        for fold in [" ", "\t", "  ", " \t"] {
            for (place, bytes) in places("POST", &format!("X-Z: a\r\n{fold}{name}: 5")) {
                cases.push(Case::closed(format!("folded {fold:?}{name}, {place}"), bytes, &[400], MALFORMED));
            }
        }
    }
    for line in [":", ": x", "no colon", "\u{feff}X: y"] {
        for (place, bytes) in places("GET", line) {
            cases.push(Case::closed(format!("line {line:?}, {place}"), bytes, &[400], MALFORMED));
        }
    }
}

fn newlines(cases: &mut Vec<Case>) {
    let lines = ["GET /api/org HTTP/1.1", "Host: g", "X-A: b", "Authorization: Bearer x", "X-B: c", ""];
    for damaged in 0..lines.len() {
        for method in ["GET", "POST", "M-SEARCH"] {
            let ends = |at: usize| if at == damaged { "\n" } else { "\r\n" };
            let head: String = lines.iter().enumerate().map(|(at, line)| format!("{line}{}", ends(at))).collect();
            let head = head.replacen("GET", method, 1);
            cases.push(Case::closed(format!("bare LF at line {damaged}, {method}"), head, &[400], NEWLINE));
        }
        // A bare CR: in the credential it comes from the same slip as an LF does.
        let ends = |at: usize| if at == damaged { "\r" } else { "\r\n" };
        let head: String = lines.iter().enumerate().map(|(at, line)| format!("{line}{}", ends(at))).collect();
        // The CR of the last line needs company, or it is the beginning of a line's end.
        let head = if damaged == lines.len() - 1 { head + "x\r\n\r\n" } else { head };
        let either = &["head_malformed", "newline_in_head"];
        cases.push(Case::closed(format!("bare CR at line {damaged}"), head, &[400], either));
    }
    for (name, damage, reasons) in [
        ("X-A", "a\nb: c", NEWLINE),
        ("X-A", "a\n b", NEWLINE),
        ("X-A", "\n", NEWLINE),
        ("X-A", "a\rb", MALFORMED),
        ("X-A", "a\r\rb", MALFORMED),
        ("X-A", "a\r\r", MALFORMED),
        ("Authorization", "Bearer glsa_a\nb", NEWLINE),
        ("Authorization", "Bearer glsa_a\n", NEWLINE),
        ("Authorization", "Bearer\nglsa_a", NEWLINE),
        ("Authorization", "\nBearer glsa_a", NEWLINE),
        ("Authorization", "Bearer glsa_a\rb", NEWLINE),
        ("Authorization", "Bearer glsa_a\r", NEWLINE),
        ("Authorization", "Bearer glsa_a\r\nb", NEWLINE),
        ("Cookie", "a=b\nc", NEWLINE),
        ("Transfer-Encoding", "\nchunked", NEWLINE),
        ("Content-Length", "\n5", NEWLINE),
        ("Content-Length", "5\n", NEWLINE),
    ] {
        for (place, bytes) in places("POST", &format!("{name}: {damage}")) {
            cases.push(Case::closed(format!("{name}: {damage:?}, {place}"), bytes, &[400], reasons));
        }
    }
    for blank in ["\n", "\n\n", "\r\n\n"] {
        let bytes = format!("{blank}GET / HTTP/1.1\r\nHost: g\r\n\r\n");
        cases.push(Case::closed(format!("{blank:?} before a request"), bytes, &[400], NEWLINE));
    }
    let blanks = "\r\n".repeat(20) + "GET / HTTP/1.1\r\nHost: g\r\n\r\n";
    cases.push(Case::closed("blank lines instead of a request", blanks, &[400], MALFORMED));
}

fn request_lines(cases: &mut Vec<Case>) {
    let behind = "\r\nHost: g\r\n\r\n";
    for byte in controls() {
        for (place, before, after) in [
            ("method", "GE", "T / HTTP/1.1"),
            ("target", "GET /a", "b HTTP/1.1"),
            ("query", "GET /a?b", "c HTTP/1.1"),
            ("version", "GET / HTTP/1.", "1"),
        ] {
            let bytes = [before.as_bytes(), &[byte], after.as_bytes(), behind.as_bytes()].concat();
            cases.push(Case::closed(format!("{byte:#04x} in the {place}"), bytes, &[400, 505], MALFORMED));
        }
    }
    for target in [
        "x",
        "api/org",
        "?a=b",
        "#",
        "http:/g/",
        "http:///x",
        "http:x",
        "ftp://g/x",
        "//g@h",
        "\\x",
        ".",
        "..",
        "%2fx",
        "/%00",
        "/a%00b",
        "/?a=%00",
        "/a?b%00",
        "/a b",
        "/a\tb",
        "/#a",
        "/a#b",
        "/?a#b",
        "/\u{80}\u{99}x y",
        "g:443",
        "*x",
        "http://",
        "http://@g/",
        "http://a@g/x",
        "http://g:80@h/",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            // `//g@h` is a path.
            if target != "//g@h" {
                cases.push(Case::closed(
                    format!("{method} {target:?}"),
                    format!("{method} {target} HTTP/1.1{behind}"),
                    &[400],
                    MALFORMED,
                ));
            }
        }
    }
    for version in [
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/1.9",
        "HTTP/2",
        "HTTP/2.0",
        "HTTP/2.1",
        "HTTP/3",
        "HTTP/3.0",
        "HTTP/10.1",
        "HTTP/1.10",
        "HTTP/1.01",
        "HTTP/01.1",
        "HTTP/1",
        "HTTP/1.",
        "HTTP/.1",
        "HTTP/",
        "HTTP",
        "HTTP/1,1",
        "HTTP/x.y",
        "http/1.1",
        "Http/1.1",
        "HTTPS/1.1",
        "ICY/1.1",
        "HTTP /1.1",
        "HTTP/ 1.1",
        "HTTP/1.1 ",
        "HTTP/1.1\t",
        "HTTP/1.1x",
        "1.1",
        "",
    ] {
        for method in ["GET", "POST"] {
            let bytes = format!("{method} / {version}{behind}");
            cases.push(Case::closed(format!("{method} {version:?}"), bytes, &[400, 505], MALFORMED));
        }
    }
    for line in [
        "GET",
        "GET ",
        "GET /",
        " GET / HTTP/1.1",
        "\tGET / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "G@T / HTTP/1.1",
        "GET: / HTTP/1.1",
        "(GET) / HTTP/1.1",
        "\u{c9} / HTTP/1.1",
        "/ HTTP/1.1",
        "HTTP/1.1 200 OK",
        "Host: g",
        "{}",
        "\u{16}\u{3}\u{1}",
        "PRI * HTTP/2.0",
        "GET / / HTTP/1.1",
    ] {
        cases.push(Case::closed(format!("line {line:?}"), format!("{line}{behind}"), &[400, 505], MALFORMED));
    }
}

fn hosts(cases: &mut Vec<Case>) {
    for method in ["GET", "POST", "OPTIONS"] {
        let mut heads = vec![
            ("no Host".to_owned(), format!("{method} / HTTP/1.1\r\n\r\n")),
            ("no Host, absolute form".to_owned(), format!("{method} http://g/ HTTP/1.1\r\n\r\n")),
            ("no Host, but X-Forwarded-Host".to_owned(), format!("{method} / HTTP/1.1\r\nX-Forwarded-Host: g\r\n\r\n")),
        ];
        for (one, other) in [("g", "g"), ("g", "h"), ("", "g"), ("g", "")] {
            for name in ["Host", "hOST"] {
                heads.push((
                    format!("Host {one:?} and {other:?}"),
                    format!("{method} / HTTP/1.1\r\nHost: {one}\r\nX-A: b\r\n{name}: {other}\r\n\r\n"),
                ));
            }
        }
        for host in
            ["a@b", "@", "a/b", "/", "a b", "a\tb", "a\\b", "a?b", "a#b", "a,b", "a, b", "<a>", "\"a\"", "\u{e9}", "a/"]
        {
            heads.push((format!("Host {host:?}"), format!("{method} / HTTP/1.1\r\nHost: {host}\r\n\r\n")));
        }
        for (target, host) in [
            ("http://h/", "g"),
            ("http://g:1/", "g"),
            ("http://g/", "g:1"),
            ("https://h/x", "g"),
            ("http://g.h/", "g"),
            ("http://g?x", ""),
        ] {
            heads.push((
                format!("{target} with Host {host:?}"),
                format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            ));
        }
        for (name, head) in heads {
            cases.push(Case::closed(format!("{method}: {name}"), head, &[400], MALFORMED));
        }
    }
}

fn sizes(cases: &mut Vec<Case>) {
    for method in ["GET", "POST"] {
        let head = |first: String, lines: String| format!("{method} {first} HTTP/1.1\r\nHost: g\r\n{lines}\r\n");
        for (name, bytes, status) in [
            ("101 lines", head("/".into(), "X: y\r\n".repeat(100)), 431),
            ("1000 lines", head("/".into(), "X: y\r\n".repeat(1000)), 431),
            ("101 empty lines", head("/".into(), "X:\r\n".repeat(100)), 431),
            ("a value over 32 KiB", head("/".into(), format!("X: {}\r\n", "y".repeat(33_000))), 431),
            ("a name over 32 KiB", head("/".into(), format!("{}: y\r\n", "x".repeat(33_000))), 431),
            ("a cookie over 32 KiB", head("/".into(), format!("Cookie: {}\r\n", "a=b; ".repeat(7000))), 431),
            ("99 lines over 32 KiB", head("/".into(), format!("X: {}\r\n", "y".repeat(400)).repeat(99)), 431),
            ("a head of 1 MiB", head("/".into(), format!("X: {}\r\n", "y".repeat(1 << 20))), 431),
            ("a path of 8 193 bytes", head(format!("/{}", "x".repeat(8192)), String::new()), 414),
            ("a query of 9 000 bytes", head(format!("/?{}", "x".repeat(9000)), String::new()), 414),
            ("a target over 32 KiB", head(format!("/{}", "x".repeat(33_000)), String::new()), 414),
        ] {
            cases.push(Case::closed(
                format!("{method}: {name}"),
                bytes,
                if status == 431 { &[431] } else { &[414] },
                TOO_LARGE,
            ));
        }
    }
}

/// The head has gone upstream when the damage comes: what matters is that no whole request ever does. No credential:
/// refusals of the same one would be folded into one line.
fn chunks(cases: &mut Vec<Case>) {
    let extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "e".repeat(1025));
    let value = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "e".repeat(2000));
    let trailers = format!("0\r\n{}\r\n", "X-T: y\r\n".repeat(200));
    let trailer = format!("0\r\nX-T: {}\r\n\r\n", "y".repeat(40_000));
    let damages = [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5;a=b\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "2\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "zz\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5\t\r\nhello\r\n0\r\n\r\n",
        "5 ;a\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "5.0\r\nhello\r\n0\r\n\r\n",
        "\"5\"\r\nhello\r\n0\r\n\r\n",
        "5h\r\nhello\r\n0\r\n\r\n",
        "5,5\r\nhello\r\n0\r\n\r\n",
        "\u{665}\r\nhello\r\n0\r\n\r\n",
        "5\0\r\nhello\r\n0\r\n\r\n",
        "5;\0\r\nhello\r\n0\r\n\r\n",
        "5;\x7f\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\nX-T : a\r\n\r\n",
        "0\r\n folded: a\r\n\r\n",
        "0\r\nX-T: a\n\r\n",
        "0\r\nX-T: a\rb\r\n\r\n",
        "0\r\nX-T: a\0b\r\n\r\n",
        "0\r\n: a\r\n\r\n",
        "0\r\nX-T: a\r\n\n",
        "GET /smuggled HTTP/1.1\r\nHost: g\r\n\r\n",
        &extension,
        &value,
        &trailers,
        &trailer,
    ];
    for damage in damages {
        for (before, chunk) in [("", ""), ("a sound chunk", "3\r\nabc\r\n")] {
            for method in ["POST", "GET"] {
                let bytes =
                    format!("{method} /x HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{damage}");
                let name = format!("{method}: {before} {:?}", damage.get(..40).unwrap_or(damage));
                cases.push(Case::closed(name, bytes, &[400], BODY));
            }
        }
    }
}
