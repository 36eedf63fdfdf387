//! A slice of load against one target.

use std::{
    fmt,
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use grafana_token_proxy_compare::{
    processor,
    request::{Kind, Request},
    wire::Opening,
};
use mio::{Events, Interest, Poll, Token};

use crate::{
    connection::Connection,
    settings::{PATIENCE, Settings, Target},
};

/// The connections to all targets, and what is asked on them.
pub(crate) struct Load {
    poll: Poll,
    buffer: Vec<u8>,
    /// Of each target in turn.
    connections: Vec<Connection>,
    each: usize,
    path: String,
    status: u16,
    time: Duration,
    count: Option<u64>,
    opening: Opening,
    http2: bool,
    fresh: bool,
    interest: Interest,
    next_token: usize,
}

impl Load {
    pub(crate) fn new(settings: &Settings) -> io::Result<Self> {
        let mut connections = Vec::new();
        for target in &settings.targets {
            let first = target.tokens.first().map_or("", String::as_str);
            let request = Request::new(&settings.path, first, settings.kind);
            connections.extend((0..settings.connections).map(|_| Connection::new(request.clone())));
        }
        let uploads = matches!(settings.kind, Kind::Post(_));
        Ok(Self {
            poll: Poll::new()?,
            buffer: vec![0; 256 * 1024],
            connections,
            each: settings.connections,
            path: settings.path.clone(),
            status: settings.status,
            time: settings.slice,
            count: settings.requests,
            opening: settings.opening.clone(),
            http2: settings.http2,
            fresh: settings.fresh,
            interest: if uploads { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE },
            next_token: 0,
        })
    }

    /// Sends to one target until the time is over or the count is reached, and waits for every answer, so that the
    /// processor time belongs to these requests alone.
    pub(crate) fn slice(&mut self, base: usize, target: &Target) -> io::Result<Slice> {
        if !self.fresh {
            for index in 0..self.each {
                self.open(base + index, target)?;
            }
        }
        let processor = target.process.map_or(0, processor::nanoseconds);
        let start = Instant::now();
        let mut slice = Slice::default();
        let (mut outstanding, mut started) = (0_u64, 0_u64);
        let mut events = Events::with_capacity(1024);
        let (count, time) = (self.count, self.time);
        let may_send = |started: u64, now: Instant| match count {
            Some(count) => started < count,
            None => now.duration_since(start) < time,
        };
        for index in 0..self.each {
            if may_send(started, start) {
                self.send(base + index, target, &mut slice)?;
                outstanding += 1;
                started += 1;
            }
        }
        while outstanding > 0 {
            match self.poll.poll(&mut events, Some(PATIENCE)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                slice.errors += outstanding;
                let all = self.connections.iter_mut().skip(base).take(self.each);
                all.filter(|connection| connection.sent.is_some()).for_each(Connection::forget);
                break;
            }
            for event in &events {
                let index = event.token().0;
                let Some(connection) = self.connections.get_mut(index) else { continue };
                let Some(sent) = connection.sent.filter(|_| (base..base + self.each).contains(&index)) else {
                    continue;
                };
                slice.sent += connection.send_on().unwrap_or_default() as u64;
                let came = connection.receive(&mut self.buffer, event.is_read_closed(), &mut slice.received);
                let now = Instant::now();
                let sound = match came {
                    Ok(None) => continue,
                    Ok(Some(status)) if status == self.status => {
                        slice.latencies.push(now.duration_since(sent));
                        true
                    }
                    Ok(Some(status)) => slice.fail(&io::Error::other(format!("status {status}"))),
                    Err(error) => slice.fail(&error),
                };
                connection.sent = None;
                if !sound || self.fresh {
                    connection.forget();
                }
                outstanding -= 1;
                if may_send(started, now) {
                    self.send(index, target, &mut slice)?;
                    outstanding += 1;
                    started += 1;
                }
            }
        }
        slice.wall = start.elapsed();
        slice.processor = target.process.map_or(0, processor::nanoseconds).saturating_sub(processor);
        slice.latencies.sort_unstable();
        Ok(slice)
    }

    fn open(&mut self, index: usize, target: &Target) -> io::Result<()> {
        let Some(connection) = self.connections.get_mut(index).filter(|connection| connection.wire.is_none()) else {
            return Ok(());
        };
        let mut wire = self.opening.open(target.address)?;
        self.poll.registry().register(wire.socket(), Token(index), self.interest)?;
        connection.take(wire, self.http2);
        Ok(())
    }

    /// Sends one request with the next token.
    fn send(&mut self, index: usize, target: &Target, slice: &mut Slice) -> io::Result<()> {
        let now = Instant::now();
        self.open(index, target)?;
        let Some(connection) = self.connections.get_mut(index) else { return Ok(()) };
        let tokens = &target.tokens;
        self.next_token = (self.next_token + 1) % tokens.len().max(1);
        let token = tokens.get(self.next_token).map_or("", String::as_str);
        if tokens.len() > 1 {
            connection.request.set_token(token);
        }
        connection.send(&self.path, token, now);
        slice.sent += connection.send_on().unwrap_or_default() as u64;
        Ok(())
    }
}

/// What one slice measured.
#[derive(Default)]
pub(crate) struct Slice {
    latencies: Vec<Duration>,
    errors: u64,
    wall: Duration,
    processor: u64,
    received: u64,
    sent: u64,
}

impl Slice {
    fn fail(&mut self, error: &io::Error) -> bool {
        if self.errors == 0 {
            eprintln!("load: {error}");
        }
        self.errors += 1;
        false
    }

    fn percentile(&self, part: usize) -> u128 {
        self.latencies.get(self.latencies.len() * part / 100).map_or(0, Duration::as_nanos)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, wall) = (self.latencies.len(), self.wall.as_nanos());
        let (median, late) = (self.percentile(50), self.percentile(99));
        let Self { errors, processor, received, sent, .. } = self;
        write!(f, "{requests}\t{errors}\t{wall}\t{processor}\t{median}\t{late}\t{received}\t{sent}")
    }
}
