//! One line of the log, in JSON, logfmt, or for eyes.
//!
//! Written key by key into the text that is kept: with `log.requests: all` each request pays for a line.

mod json;
mod logfmt;
mod plain;
mod pretty;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

pub(super) use self::json::Json;
use self::logfmt::Logfmt;
pub use self::plain::timestamp;
use self::pretty::Pretty;
use super::{Level, LogFormat};
use crate::domain::token::Fingerprint;

/// A value in a line.
#[derive(Clone, Debug)]
pub(super) enum Field<'a> {
    Static(&'static str),
    /// A text in which nothing has to be escaped.
    Plain(&'a str),
    Text(Cow<'a, str>),
    Address(IpAddr),
    Print(Fingerprint),
    Integer(u64),
    /// A number as it is written.
    Digits(&'a str),
    Millis(Duration),
    List(&'a [&'static str]),
}

/// Takes the keys of a line with their values, in order.
pub(super) trait Keys {
    fn put(&mut self, key: &'static str, value: Field<'_>);

    /// The line so far, where it is one of text, and a number for the way in which it is written.
    fn as_text(&mut self) -> Option<(u8, &mut String)> {
        None
    }

    #[inline(always)]
    fn put_some(&mut self, key: &'static str, value: Option<Field<'_>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }
}

/// How a line begins.
#[derive(Clone, Debug)]
pub(super) struct Opening<'a> {
    pub at: SystemTime,
    pub level: Level,
    pub event: Field<'a>,
}

/// What makes a line.
pub(super) trait Tell {
    fn opening(&self) -> Opening<'_>;

    fn tell(&self, keys: &mut impl Keys);
}

impl Level {
    /// The name in lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Appends one line with its end to `out`. `colour` matters to eyes only.
pub(super) fn write_line(out: &mut String, format: LogFormat, colour: bool, told: &impl Tell) {
    let opening = told.opening();
    match format {
        LogFormat::Json | LogFormat::Auto => {
            let mut line = Json::begin(out);
            line.open(opening);
            told.tell(&mut line);
            line.end();
        }
        LogFormat::Logfmt => told.tell(&mut Logfmt::begin(out, opening)),
        LogFormat::Pretty => told.tell(&mut Pretty::begin(out, colour, opening)),
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
