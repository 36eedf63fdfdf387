//! Turns what a page says about ports and files to what a stage has.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that is free, and not one of those that the system gives to connections: it is bound a moment later.
pub(crate) fn free() -> TcpListener {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = std::iter::repeat_with(|| {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        20_000 + (std::process::id().wrapping_mul(37) + step) % 10_000
    });
    ports.find_map(|port| TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).ok()).unwrap()
}

/// Replaces `:3000`, and `3000` after a space, where no digit follows.
pub(crate) fn replace_port(text: &str, from: u16, to: u16) -> String {
    let from = from.to_string();
    let mut parts = text.split(&from).peekable();
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let alone = whole.ends_with([':', ' ']) && !part.starts_with(|next: char| next.is_ascii_digit());
        whole.push_str(if alone { to.to_string() } else { from.clone() }.as_str());
        whole.push_str(part);
    }
    whole
}

/// The rest of each path that begins so.
pub(crate) fn names_after(text: &str, start: &str) -> Vec<String> {
    let ends = |character: char| !(character.is_alphanumeric() || "-_./".contains(character));
    let name = |rest: &str| rest.split(ends).next().unwrap_or_default().trim_end_matches('.').to_owned();
    text.split(start).skip(1).map(name).filter(|name| !name.is_empty() && !name.ends_with('/')).collect()
}

#[test]
fn ports_are_replaced_and_nothing_else() {
    let text = replace_port("http://127.0.0.1:3000/x :30001 --port 3000 13000 x3000", 3000, 41234);
    assert_eq!(text, "http://127.0.0.1:41234/x :30001 --port 41234 13000 x3000");
}
