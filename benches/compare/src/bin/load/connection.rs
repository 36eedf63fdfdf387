//! One connection of the load, with the request under way on it.

use std::{
    io::{self, ErrorKind},
    time::Instant,
};

use grafana_token_proxy_compare::{
    answer::Reader,
    http2,
    request::{self, Request},
    socket::{self, Got},
    wire::Wire,
};

/// A connection; without a wire, it is to be opened.
pub(crate) struct Connection {
    pub(crate) wire: Option<Wire>,
    pub(crate) request: Request,
    /// How much of the request has been sent.
    unsent: usize,
    reader: Reader,
    http2: Option<Box<http2::Client>>,
    pub(crate) sent: Option<Instant>,
}

impl Connection {
    pub(crate) fn new(request: Request) -> Self {
        Self { wire: None, request, unsent: 0, reader: Reader::default(), http2: None, sent: None }
    }

    /// Takes a wire that was just opened.
    pub(crate) fn take(&mut self, wire: Wire, http2: bool) {
        self.wire = Some(wire);
        self.http2 = http2.then(Box::default);
    }

    pub(crate) fn forget(&mut self) {
        self.wire = None;
        self.reader = Reader::default();
        self.sent = None;
    }

    /// Begins the next request; [`Self::send_on`] sends it.
    pub(crate) fn send(&mut self, path: &str, now: Instant) {
        self.sent = Some(now);
        if let (Some(http2), Some(wire)) = (&mut self.http2, &mut self.wire) {
            // A broken pipe shows as the end of the answer, where it is counted.
            let _ = socket::write(wire, &http2.request(path, &request::token(0)));
            return;
        }
        self.unsent = self.request.as_bytes().len();
    }

    /// Sends what the socket has not taken yet.
    pub(crate) fn send_on(&mut self) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(wire) = self.wire.as_mut().filter(|_| self.unsent > 0) {
            let bytes = self.request.as_bytes();
            // A broken pipe shows as the end of the answer, where it is counted.
            let count = socket::write(wire, bytes.get(bytes.len() - self.unsent..).unwrap_or_default())?;
            self.unsent -= count;
            sent += count;
            if count == 0 {
                break;
            }
        }
        Ok(sent)
    }

    /// Reads what has come; the status once the answer is whole. `received` counts the bytes.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], closed: bool, received: &mut u64) -> io::Result<Option<u16>> {
        let Some(wire) = &mut self.wire else { return Ok(None) };
        let again = closed || wire.reads_by_records();
        loop {
            let (length, more) = match socket::read(&mut *wire, buffer, again)? {
                Got::Nothing => return Ok(None),
                Got::End => return Err(ErrorKind::UnexpectedEof.into()),
                Got::Bytes(length, more) => (length, more),
            };
            *received += length as u64;
            let piece = buffer.get(..length).unwrap_or_default();
            let whole = match &mut self.http2 {
                Some(http2) => http2.take(piece)?,
                None => self.reader.take(piece)?.map(|answer| answer.status),
            };
            if whole.is_some() || !more {
                return Ok(whole);
            }
        }
    }
}
