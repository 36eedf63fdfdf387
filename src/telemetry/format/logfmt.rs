//! A line in logfmt.

use std::fmt::Write as _;

use super::json::{is_acted_on, put_json_text};
use super::plain::{put_plain, put_timestamp};
use super::{Field, Keys, Opening};

pub(super) struct Logfmt<'o>(&'o mut String);

impl<'o> Logfmt<'o> {
    pub(super) fn begin(out: &'o mut String, opening: Opening<'_>) -> Self {
        out.push_str("timestamp=");
        put_timestamp(out, opening.at);
        let _ = write!(out, " level={} event=", opening.level.name());
        put_logfmt(out, &opening.event);
        Self(out)
    }
}

impl Keys for Logfmt<'_> {
    fn put(&mut self, key: &'static str, value: Field<'_>) {
        let _ = write!(self.0, " {key}=");
        put_logfmt(self.0, &value);
    }

    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        Some((1, self.0))
    }
}

pub(super) fn put_logfmt(out: &mut String, value: &Field<'_>) {
    match value {
        Field::Static(text) | Field::Plain(text) => put_logfmt_text(out, text),
        Field::Text(text) => put_logfmt_text(out, text),
        Field::List(list) => out.push_str(&list.join(",")),
        plain => put_plain(out, plain),
    }
}

fn put_logfmt_text(out: &mut String, text: &str) {
    let bare = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !is_acted_on(c) && !matches!(c, '"' | '=' | '\\'));
    if bare { out.push_str(text) } else { put_json_text(out, text) }
}
