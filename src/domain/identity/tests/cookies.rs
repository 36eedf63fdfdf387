//! Session cookies as Go reads them.

use super::*;

fn read<'l>(lines: &[&'l str]) -> Option<Cookie<'l>> {
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    cookie(&lines, b"grafana_session")
}

fn is(lines: &[&str], value: &str) {
    assert_eq!(read(lines), Some(Cookie::Read(Bytes::Borrowed(value.as_bytes()))), "{lines:?}");
}

#[test]
fn the_first_valid_cookie_counts() {
    is(&["grafana_session=a"], "a");
    is(&["a=b; grafana_session=a; grafana_session=b"], "a");
    is(&["x", "y=;;", " grafana_session =a "], "a");
    is(&["grafana_session=é; grafana_session=a\"b; grafana_session=\\; grafana_session=c"], "c");
    is(&["GRAFANA_SESSION=a; grafana_session=b"], "b");
    is(&["grafana_session"], "");
    is(&["grafana_session=a=b"], "a=b");
    assert_eq!(read(&["grafana_sessio=a", "xgrafana_session=b", ""]), None);
    assert_eq!(read(&[]), None);
    assert_eq!(cookie(&[b"=a", b"a b=c"], b""), None);
    assert_eq!(cookie(&[b"a b=c"], b"a b"), None);
}

#[test]
fn one_pair_of_quotes_is_stripped() {
    is(&[r#"grafana_session="a""#], "a");
    is(&[r#"grafana_session="""#], "");
    for bad in [r#"grafana_session=""a"""#, r#"grafana_session=""#, r#"grafana_session= "a""#] {
        assert_eq!(read(&[&format!("{bad}; grafana_session=x")]), Some(Cookie::Read(Bytes::Borrowed(b"x"))), "{bad}");
    }
}

#[test]
fn the_value_is_unescaped() {
    is(&["grafana_session=%61+%2B%2b%00"], "a ++\0");
    for bad in ["%", "%6", "%6g", "a%%61"] {
        assert_eq!(read(&[&format!("grafana_session={bad}; grafana_session=x")]), Some(Cookie::Unreadable), "{bad}");
    }
    assert!(matches!(read(&["grafana_session=abc"]), Some(Cookie::Read(Bytes::Borrowed(_)))));
}
