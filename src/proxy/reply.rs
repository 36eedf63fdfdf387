//! The head and the body of an answer on its way to the client: what another's answer holds, as it came, and what we add.

use std::ops::Range;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::domain::fields::Fields;

/// An answer.
#[derive(Debug)]
pub struct Reply<B> {
    /// The status.
    pub status: StatusCode,
    /// The fields of another's answer.
    pub passed: Fields,
    /// Where in their bytes the words behind the status stand, where they are another's, too.
    pub phrase: Option<Range<usize>>,
    /// Our own.
    pub own: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: B,
}

impl<B> Reply<B> {
    /// Without a field.
    pub fn new(status: StatusCode, body: B) -> Self {
        Self { status, passed: Fields::default(), phrase: None, own: Vec::with_capacity(8), body }
    }

    /// Puts a field on, beside others of its name.
    pub fn add(&mut self, name: HeaderName, value: HeaderValue) {
        self.own.push((name, value));
    }

    /// Puts a field on that another's answer cannot have: [`clean_answer`](super::headers::clean_answer) takes it away.
    pub fn set_own(&mut self, name: HeaderName, value: HeaderValue) {
        match self.own.iter_mut().find(|(own, _)| *own == name) {
            Some(place) => place.1 = value,
            None => self.own.push((name, value)),
        }
    }

    /// The first of our own fields of a name.
    pub fn own(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.own.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Whether the connection ends with this answer.
    pub fn closes(&self) -> bool {
        self.own(&header::CONNECTION).is_some_and(|value| value == "close")
    }

    /// All fields in one map.
    pub fn to_map(&self) -> HeaderMap {
        let mut map = self.passed.to_map();
        map.extend(self.own.iter().cloned().map(|(name, value)| (Some(name), value)));
        map
    }

    /// With another body.
    pub fn map<C>(self, other: impl FnOnce(B) -> C) -> Reply<C> {
        let Self { status, passed, phrase, own, body } = self;
        Reply { status, passed, phrase, own, body: other(body) }
    }
}
