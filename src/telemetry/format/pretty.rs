//! A line for eyes.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::logfmt::put_logfmt;
use super::plain::put_timestamp;
use super::{Field, Keys, Level, Opening};

/// Time, level and event first, then the pairs of logfmt; what a reader looks for stands out.
pub(super) struct Pretty<'o> {
    out: &'o mut String,
    dim: Style,
    bold: Style,
}

impl<'o> Pretty<'o> {
    pub(super) fn begin(out: &'o mut String, colour: bool, opening: Opening<'_>) -> Self {
        let style = |style: Style| if colour { style } else { Style::new() };
        let (dim, bold) = (style(Style::new().dimmed()), style(Style::new().bold()));
        let loud = style(match opening.level {
            Level::Error => AnsiColor::Red.on_default().bold(),
            Level::Warn => AnsiColor::Yellow.on_default().bold(),
            Level::Info | Level::Debug => AnsiColor::Green.on_default(),
        });
        let _ = write!(out, "{dim}");
        put_timestamp(out, opening.at);
        let _ = write!(out, "{dim:#} {loud}{:<5}{loud:#} ", opening.level.name());
        put_logfmt(out, &opening.event);
        Self { out, dim, bold }
    }
}

impl Keys for Pretty<'_> {
    fn put(&mut self, key: &'static str, value: Field<'_>) {
        let dim = self.dim;
        let style = if matches!(key, "reason" | "hint") { self.bold } else { Style::new() };
        let _ = write!(self.out, " {dim}{key}={dim:#}{style}");
        put_logfmt(self.out, &value);
        let _ = write!(self.out, "{style:#}");
    }

    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        let is_plain = self.dim == Style::new();
        Some((if is_plain { 2 } else { 3 }, self.out))
    }
}
