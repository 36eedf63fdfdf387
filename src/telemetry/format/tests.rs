//! Lines in every format, whatever they hold.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::json::is_acted_on;
use super::plain::put_plain;
use super::*;

struct Line<'a>(&'a str);

impl Tell for Line<'_> {
    fn opening(&self) -> Opening<'_> {
        let at = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        Opening { at, level: Level::Warn, event: Field::Static("request_refused") }
    }

    fn tell(&self, keys: &mut impl Keys) {
        keys.put("status", Field::Integer(401));
        keys.put("reason", Field::Static("token_expired"));
        keys.put("detail", Field::Text(self.0.into()));
        keys.put("changes", Field::List(&["scheme_case", "quotes_removed"]));
        keys.put("duration_ms", Field::Millis(Duration::from_micros(1234)));
    }
}

#[test]
fn durations_are_rounded_to_microseconds_however_long_they_are() {
    for (nanos, text) in [
        (0, "0.000"),
        (499, "0.000"),
        (500, "0.001"),
        (1_234_567, "1.235"),
        (999_999_499, "999.999"),
        (999_999_500, "1000.000"),
        (4_294_967_000_000_000, "4294967000.000"),
        (4_294_968_000_000_000, "4294968000.000"),
    ] {
        let mut out = String::new();
        put_plain(&mut out, &Field::Millis(Duration::from_nanos(nanos)));
        assert_eq!(out, text);
    }
}

fn write(text: &str, format: LogFormat, colour: bool) -> String {
    let mut out = String::new();
    write_line(&mut out, format, colour, &Line(text));
    out
}

#[test]
fn timestamps_are_those_of_the_calendar() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_827_696_007, "2000-02-29T12:34:56.007Z"),
        (951_827_696_999, "2000-02-29T12:34:56.999Z"),
        (1_798_761_599_050, "2026-12-31T23:59:59.050Z"),
    ] {
        assert_eq!(timestamp(UNIX_EPOCH + Duration::from_millis(millis)), text);
    }
}

#[test]
fn the_three_formats() {
    let text = "it \"ended\"\n";
    assert_eq!(
        write(text, LogFormat::Json, false),
        "{\"timestamp\":\"2023-11-14T22:13:20.123Z\",\"level\":\"warn\",\"event\":\"request_refused\",\"status\":401,\"reason\":\"token_expired\",\"detail\":\"it \\\"ended\\\"\\n\",\"changes\":[\"scheme_case\",\"quotes_removed\"],\"duration_ms\":1.234}\n"
    );
    assert_eq!(
        write(text, LogFormat::Logfmt, false),
        "timestamp=2023-11-14T22:13:20.123Z level=warn event=request_refused status=401 reason=token_expired detail=\"it \\\"ended\\\"\\n\" changes=scheme_case,quotes_removed duration_ms=1.234\n"
    );
    assert_eq!(
        write(text, LogFormat::Pretty, false),
        "2023-11-14T22:13:20.123Z warn  request_refused status=401 reason=token_expired detail=\"it \\\"ended\\\"\\n\" changes=scheme_case,quotes_removed duration_ms=1.234\n"
    );
    let coloured = write(text, LogFormat::Pretty, true);
    assert!(coloured.contains("\u{1b}[1mtoken_expired\u{1b}[0m"), "{coloured}");
    let colourless = coloured.split('\u{1b}').map(|piece| {
        piece.split_once('m').map_or(piece, |(code, rest)| if code.starts_with('[') { rest } else { piece })
    });
    assert_eq!(colourless.collect::<String>(), write(text, LogFormat::Pretty, false));
}

proptest! {
    #[test]
    fn any_text_makes_one_valid_line(text in "\\PC*|[\\x00-\\x20\"\\\\=\u{80}-\u{a0}\u{2028}\u{202e}\u{2066}]{0,20}") {
        let json = write(&text, LogFormat::Json, false);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(value["detail"].as_str().unwrap(), text.as_str());
        for format in [LogFormat::Json, LogFormat::Logfmt, LogFormat::Pretty] {
            let line = write(&text, format, false);
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(!line.contains(is_acted_on), "{:?}", line);
        }
    }
}
